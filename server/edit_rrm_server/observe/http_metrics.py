"""What the door reports: requests by route, status and code."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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

        self._connections = Gauge("edit_rrm_connections", "Connections that are open", registry=registry)
        self._ended = Counter(
            "edit_rrm_connections_ended",
            "Connections that the service ended: silent, evicted, refused, slow_headers, large_headers, "
            "bad_http, unread_body, unread_answer",
            ["reason"],
            registry=registry,
        )

    def connection_opened(self) -> None:
        """A connection was accepted."""
        self._connections.inc()

    def connection_closed(self) -> None:
        """A connection is over, whoever ended it."""
        self._connections.dec()

    def connection_ended(self, reason: str) -> None:
        """The service ends a connection."""
        self._ended.labels(reason).inc()

    def request_answered(self, route: str, status: int, code: str, duration_s: float) -> None:
        """A request is over; `code` is `ok` or that of its problem, `route` a path template."""
        self._requests.labels(route, str(status), code).inc()
        self._request_s.labels(route).observe(duration_s)
