"""A mock reward service on a real port that can be stopped and started again on the same one."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from edit_rrm_client import MockRewardServer


class DyingService:
    """A context manager; running when entered. `mock` answers."""

    def __init__(self, mock: MockRewardServer | None = None) -> None:
        self.mock = mock or MockRewardServer(0.5)
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listens, the second time on the port of the first."""
        mock = self.mock

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                url = f"http://{self.headers['host']}{self.path}"
                asked = httpx.Request(self.command, url, headers=list(self.headers.items()), content=body)
                answer = mock.handle_request(asked)
                self.send_response(answer.status_code)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> "DyingService":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
