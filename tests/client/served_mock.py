"""A `MockRewardServer` behind a real socket, for tests whose client is another process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockCall, MockRewardServer


@contextmanager
def served(mock: MockRewardServer, on_call: Callable[[], None] = lambda: None) -> Iterator[str]:
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

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A client that was killed is no error of the service."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked_images(call: MockCall) -> list[str]:
    """What the candidates of a score call hold, where files are made of text; [] for other calls."""
    if not isinstance(call.request, ScoreRequest):
        return []
    return [call.files[candidate.part or ""].decode() for candidate in call.request.candidates]
