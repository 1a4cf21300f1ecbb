"""A local service that speaks the OpenAI chat API with the shapes world's simulated roles behind it.

Faults are scripted: each request takes the next one (None: a proper answer). The
model's name says which role is asked.
"""

import base64
import json
import threading
from collections import deque
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edit_rrm.images import EditImage, decode_image, pixel_digest
from edit_rrm_shapes.teachers.simulated import simulated_answer
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.pictures import load_image

BUSY, DOWN, HANG, GARBLED, NO_CHOICE, BAD_TEXT, NO_TEXT, REFUSED, IN_PAIRS = (
    "busy", "down", "hang", "garbled", "no choice", "bad text", "no text", "refused", "in pairs",
)  # fmt: skip


class OpenAITestServer:
    """Use as a context manager. `requests` are the bodies it got, `statuses` what it answered."""

    def __init__(self, pictures: Iterable[ShapesRef], faults: Iterable[str | None] = ()) -> None:
        self._known = {_digest_of(picture): picture for picture in pictures}
        self.faults = deque(faults)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.statuses: list[int] = []
        self.closing = threading.Event()
        self.most_under_way = 0
        self._under_way = 0
        self._counting = threading.Lock()
        self._pair = threading.Barrier(2)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> "OpenAITestServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._counting:
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
            self.requests.append(body)
            self.keys.append(handler.headers.get("Authorization"))
            fault = self.faults.popleft() if self.faults else None
        if fault == HANG:
            self.closing.wait()  # the client gives up long before
            return
        if fault == IN_PAIRS:
            self._pair.wait()  # for one other request
        status, answer, headers = self._answer(body, fault)
        with self._counting:  # before the client can know, and send the next
            self._under_way -= 1
            self.statuses.append(status)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def _answer(self, body: dict[str, Any], fault: str | None) -> tuple[int, bytes, dict[str, str]]:
        if fault == BUSY:
            return 429, b'{"error": "slow down"}', {"Retry-After": "7"}
        if fault == DOWN:
            return 503, b"starting", {}
        if fault == REFUSED:
            return 401, b'{"error": "who are you"}', {}
        if fault == GARBLED:
            return 200, b"<html>not json", {}
        if fault == NO_CHOICE:
            return 200, b'{"choices": []}', {}
        if fault == NO_TEXT:  # all tokens spent on thinking
            spent = {"prompt_tokens": 1000, "completion_tokens": 2048}
            return 200, json.dumps({"choices": [{"message": {"content": None}}], "usage": spent}).encode(), {}
        text = "I would rather not." if fault == BAD_TEXT else self._write(body)
        usage = {"prompt_tokens": 1000, "completion_tokens": 100}
        choice = {"message": {"role": "assistant", "content": text}}
        return 200, json.dumps({"choices": [choice], "usage": usage}).encode(), {}

    def _write(self, body: dict[str, Any]) -> str:
        parts = [part for message in body["messages"] for part in message["content"]]
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        shown = [self._known[_digest(base64.b64decode(url.split(",", 1)[1]))] for url in urls]
        return simulated_answer(body["model"], text, shown[-1], body["seed"], body["temperature"])


def _digest(image: bytes) -> str:
    return pixel_digest(decode_image(image).image)


def _digest_of(picture: ShapesRef) -> str:
    return EditImage.from_pil(load_image(str(picture), Path())).digest
