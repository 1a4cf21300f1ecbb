"""How Prometheus reads every replica, although Ray's proxy cannot be told which one is meant.

Each replica answers /metrics on a port of its own and says every few seconds where; whoever is asked for the
targets names those that said so lately, in the form of Prometheus's HTTP service discovery.
"""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

STALE_AFTER_S = 30.0


class TargetList:
    """Where replicas answer, by their names. Loses nothing that is not said again: it may be restarted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}

    def seen(self, replica: str, address: str) -> None:
        """The replica lives and answers at `address` (host:port)."""
        self._seen[replica] = (address, self._clock())

    def targets(self) -> list[dict[str, Any]]:
        """What Prometheus's http_sd_configs take; replicas that were silent for 30 s are forgotten."""
        oldest_s = self._clock() - STALE_AFTER_S
        self._seen = {name: seen for name, seen in self._seen.items() if seen[1] >= oldest_s}
        return [
            {"targets": [address], "labels": {"replica": name}}
            for name, (address, _) in sorted(self._seen.items())
        ]


class MetricsServer:
    """Answers GET /metrics with `exposition()` on a free port of `host`, in threads of its own."""

    def __init__(self, host: str, exposition: Callable[[], bytes]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/metrics":
                    self.send_error(404)
                    return
                body = exposition()
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE_LATEST)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Scrapes are no news."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self.address = f"{host}:{self._server.server_port}"
        Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Answers nothing more."""
        self._server.shutdown()
        self._server.server_close()
