"""The fleet's part of the metrics; exists only where the engine is a fleet."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class FleetMetrics:
    """Of the fleet's upstreams; `upstream` is host and port."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge(
            "edit_rrm_upstream_up", "1 while the upstream takes prompts", ["upstream"], registry=registry
        )
        self._outstanding = Gauge(
            "edit_rrm_upstream_prompts", "Prompts under way at the upstream", ["upstream"], registry=registry
        )
        self._failed = Counter(
            "edit_rrm_upstream_failures",
            "Attempts at a prompt that failed at the upstream, by the code it means",
            ["upstream", "code"],
            registry=registry,
        )

    def upstream_up(self, upstream: str, up: bool) -> None:
        """After every change, and at the start."""
        self._up.labels(upstream).set(float(up))

    def upstream_outstanding(self, upstream: str, prompts: int) -> None:
        """After every change."""
        self._outstanding.labels(upstream).set(prompts)

    def attempt_failed(self, upstream: str, code: str) -> None:
        """An attempt at a prompt failed there; the prompt may succeed elsewhere."""
        self._failed.labels(upstream, code).inc()
