"""What the door reports: requests by route, status and code."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from edit_rrm_server.observe.buckets import SECONDS


class HttpMetrics:
    """Of http."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "edit_rrm_requests", "Requests answered", ["route", "status", "code"], registry=registry
        )
        self._request_s = Histogram(
            "edit_rrm_request_seconds",
            "From arrival to the last byte of the answer",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )

    def request_answered(self, route: str, status: int, code: str, duration_s: float) -> None:
        """A request is over; `code` is `ok` or that of its problem, `route` a path template."""
        self._requests.labels(route, str(status), code).inc()
        self._request_s.labels(route).observe(duration_s)
