"""The fleet's part of the metrics; exists only where the engine is a fleet."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class FleetMetrics:
    """Satisfies `UpstreamMetrics`."""

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
        """See `UpstreamMetrics`."""
        self._up.labels(upstream).set(float(up))

    def upstream_outstanding(self, upstream: str, prompts: int) -> None:
        """See `UpstreamMetrics`."""
        self._outstanding.labels(upstream).set(prompts)

    def attempt_failed(self, upstream: str, code: str) -> None:
        """See `UpstreamMetrics`."""
        self._failed.labels(upstream, code).inc()
