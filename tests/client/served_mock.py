"""A `MockRewardServer` behind a real socket, for tests whose client is another process."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockCall, MockRewardServer

PATIENCE_S = 60.0


class _Server(ThreadingHTTPServer):
    """Knows which connections are being attended to."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.open: set[int] = set()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], address: object) -> None:
        self.open.add(id(request))
        super().process_request(request, address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        super().shutdown_request(request)
        self.open.discard(id(request))

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no error of the service."""


class Address(str):
    """Where a service listens."""

    _server: _Server

    def wait_until_all_have_left(self) -> None:
        """Returns when everything that ended clients had sent is read."""
        # Connections are accepted in their order: once this one is answered, no earlier one waits.
        with socket.create_connection(("127.0.0.1", self._server.server_port), PATIENCE_S) as last:
            last.sendall(b"OPTIONS / HTTP/1.0\r\n\r\n")
            while last.recv(4096):
                pass
        started = time.monotonic()
        while self._server.open:
            assert time.monotonic() - started < PATIENCE_S, "a connection stays open"
            time.sleep(0.005)


@contextmanager
def served(mock: MockRewardServer, on_call: Callable[[], None] = lambda: None) -> Iterator[Address]:
    """The address at which `mock` listens; `on_call` is called before each answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            size = int(self.headers.get("content-length", 0))
            body = self.rfile.read(size)
            if len(body) < size:  # the client was killed while it wrote
                return
            url = f"http://{self.headers['host']}{self.path}"
            answer = mock.handle_request(
                httpx.Request(self.command, url, headers=list(self.headers.items()), content=body)
            )
            on_call()
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        address = Address(f"http://127.0.0.1:{server.server_port}")
        address._server = server
        yield address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked_images(call: MockCall) -> list[str]:
    """What the candidates of a score call hold, where files are made of text; [] for other calls."""
    if not isinstance(call.request, ScoreRequest):
        return []
    return [call.files[candidate.part or ""].decode() for candidate in call.request.candidates]
