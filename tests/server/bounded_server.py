"""A small application behind the protocol with bounds, on a free port: in a thread, or in its own process.

GET /health answers at once, POST /refuse unread, POST /count how many bytes came, GET /large a lot, GET
/paused a lot while it says that it is the service that waits, POST /wait when told.
"""

import asyncio
import json
import os
import socket
import sys
import threading
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry

from edit_rrm_server.http.connections import (
    SERVICE_WAITS,
    ConnectionLimits,
    bounded_protocol,
    connections_for,
)
from edit_rrm_server.observe.http_metrics import HttpMetrics

LARGE_BYTES = 40_000_000


class BoundedServer:
    """A context manager."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.registry = CollectorRegistry()
        self.left: list[str] = []  # paths whose callers left before they were answered
        self._answer = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self.socket.getsockname()[1])
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                http=bounded_protocol(limits, HttpMetrics(self.registry)),
                interface="asgi3",
                ws="none",
                lifespan="off",
                log_config=None,
                backlog=64,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Serves until it is left."""
        self._server.run(sockets=[self.socket])

    def __enter__(self) -> "BoundedServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answer()
        self._server.should_exit = True
        self._thread.join()
        self.socket.close()

    def answer(self) -> None:
        """Lets those that wait be answered."""
        self._answer.set()

    def ended(self, reason: str) -> float:
        """How many connections the protocol has ended for a reason."""
        found = self.registry.get_sample_value("edit_rrm_connections_ended_total", {"reason": reason})
        return found or 0.0

    @property
    def open(self) -> float | None:
        """Connections there are."""
        return self.registry.get_sample_value("edit_rrm_connections")

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        path, body = scope["path"], b"ok"
        if path == "/count":
            count = 0
            while (message := await receive()).get("more_body"):
                count += len(message["body"])
            body = json.dumps(count + len(message.get("body", b""))).encode()
        if path == "/wait":
            while not self._answer.is_set():  # noqa: ASYNC110  # it is set in another thread
                await asyncio.sleep(0.005)
        if path in ("/large", "/paused"):
            body = bytes(LARGE_BYTES)
        scope["state"][SERVICE_WAITS] = path == "/paused"
        status = 401 if path == "/refuse" else 200
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for start in range(0, len(body), 1_000_000):
            more = start + 1_000_000 < len(body)
            await send({"type": "http.response.body", "body": body[start:][:1_000_000], "more_body": more})
        if path == "/large" and (await receive())["type"] == "http.disconnect":
            self.left.append(path)


if __name__ == "__main__":
    server = BoundedServer(
        ConnectionLimits(connections_for(None, files_open=len(os.listdir("/proc/self/fd"))))
    )
    print(server.port, flush=True)
    sys.stdout.close()
    server.run()
