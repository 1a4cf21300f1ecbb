"""Bytes that are no HTTP request, over a real socket: typed, with a request id, and the connection's end."""

import json
import socket

from live_service import LiveService
from scripted_engine import ScriptedEngine

BAD = [
    b"nonsense\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
    b"POST /v1/score HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
    b"POST /v1/score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 the beginning of TLS \r\n\r\n",
]


def answer_to(url: str, sent: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """The status line, headers and body that come back until the connection ends."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = dict(line.decode().lower().split(": ", 1) for line in lines)
    return status, headers, body


def test_what_is_no_http_is_answered_as_every_other_error() -> None:
    with LiveService(ScriptedEngine()) as live:
        for sent in BAD:
            status, headers, body = answer_to(live.url, sent)
            problem = json.loads(body)
            assert status == b"HTTP/1.1 400 Bad Request", sent
            assert (problem["status"], problem["code"]) == (400, "bad_http"), sent
            assert headers["content-type"] == "application/problem+json"
            assert headers["x-request-id"] == problem["instance"]
            assert headers["connection"] == "close"
        status, _, body = answer_to(live.url, b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (status, json.loads(body)["status"]) == (b"HTTP/1.1 200 OK", "ok")


def test_a_call_for_a_websocket_is_a_call_like_any_other() -> None:
    upgrade = (
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with LiveService(ScriptedEngine(), api_keys="right") as live:
        host, port = live.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(upgrade)
            assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
