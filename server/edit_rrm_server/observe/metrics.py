"""The service's metrics in a registry of their own, a class a room; `exposition` adds what vLLM registers."""

from collections.abc import Callable

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from edit_rrm_server.observe.admission_metrics import AdmissionMetrics
from edit_rrm_server.observe.http_metrics import HttpMetrics
from edit_rrm_server.observe.life_metrics import LifeMetrics
from edit_rrm_server.observe.scoring_metrics import ScoringMetrics


class ServiceMetrics:
    """What each room reports to. `engine_alive` is asked whenever metrics are read."""

    def __init__(self, engine_alive: Callable[[], bool]) -> None:
        self.registry = CollectorRegistry()
        self.http = HttpMetrics(self.registry)
        self.admission = AdmissionMetrics(self.registry)
        self.scoring = ScoringMetrics(self.registry)
        self.life = LifeMetrics(self.registry, engine_alive)

    def exposition(self) -> bytes:
        """Prometheus text: this service's metrics, then those of the default registry (vLLM, process)."""
        return generate_latest(self.registry) + generate_latest(REGISTRY)
