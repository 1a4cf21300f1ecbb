"""What connections may do before a request is known and after its answer, over real sockets."""

import json
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from bounded_server import LARGE_BYTES, BoundedServer
from live_service import LiveService
from scripted_engine import ScriptedEngine, well_behaved

from edit_rrm_server.http.connections import ConnectionLimits, connections_for

_LIMIT_S = 60.0


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_LIMIT_S)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + _LIMIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def rest(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def problem_of(answer: bytes) -> tuple[int, str]:
    """Status and code of a raw answer, which says all that every error says."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    shown = json.loads(body)
    assert re.search(rb"x-request-id: (\w+)", head)[1].decode() == shown["instance"]  # type: ignore[index]
    assert shown["status"] == int(head.split()[1])
    return shown["status"], shown["code"]


class TestHeaders:
    """Bounded in time and size."""

    def test_headers_that_do_not_end_are_answered_408(self) -> None:
        with BoundedServer(ConnectionLimits(8, header_timeout_s=0.2)) as server:
            with connected(server.port) as half:
                half.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\nX-Slow: ")
                assert problem_of(rest(half)) == (408, "header_timeout")
            assert server.ended("slow_headers") == 1

    def test_line_ends_before_a_request_do_not_hold_a_connection(self) -> None:
        with (
            BoundedServer(ConnectionLimits(8, header_timeout_s=0.2)) as server,
            connected(server.port) as dripping,
        ):
            dripping.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
            until(lambda: dripping.recv(65536))
            dripping.sendall(b"\r\n")
            assert problem_of(rest(dripping)) == (408, "header_timeout")

    def test_who_says_nothing_is_left_without_a_word(self) -> None:
        with BoundedServer(ConnectionLimits(8, header_timeout_s=0.2)) as server:
            with connected(server.port) as silent:
                assert rest(silent) == b""
            assert server.ended("silent") == 1

    @pytest.mark.parametrize(
        "headers",
        [b"X-Long: " + b"a" * 2_000_000, b"".join(b"X-%d: b\r\n" % n for n in range(100_000))],
        ids=["one", "many"],
    )
    def test_headers_that_are_too_large_are_answered_431(self, headers: bytes) -> None:
        with BoundedServer(ConnectionLimits(8)) as server:
            with connected(server.port) as large:
                with suppress(BrokenPipeError, ConnectionResetError):
                    large.sendall(b"GET /health HTTP/1.1\r\n" + headers)
                found = rest(large)  # nothing, where the refusal was lost with what was not read
                assert found == b"" or problem_of(found) == (431, "headers_too_large")
            until(lambda: server.ended("large_headers") == 1)

    def test_a_body_is_no_header_however_it_is_cut(self) -> None:
        with (
            BoundedServer(ConnectionLimits(8, max_header_bytes=1024)) as server,
            connected(server.port) as one,
        ):
            request = b"POST /count HTTP/1.1\r\nHost: here\r\nContent-Length: 300000\r\n\r\n" + b"a" * 300_000
            for _ in range(3):
                one.sendall(request + request)
                until(lambda: (found := one.recv(65536)) and found.count(b"300000") >= 1)
            assert server.ended("large_headers") == 0

    def test_what_is_no_http_is_answered_as_every_error(self) -> None:
        with BoundedServer(ConnectionLimits(8)) as server, connected(server.port) as other:
            other.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")
            assert problem_of(rest(other)) == (400, "bad_http")


class TestNumber:
    """Bounded in number: who waits makes room for who asks."""

    def test_silent_connections_make_room_the_oldest_first(self) -> None:
        with BoundedServer(ConnectionLimits(8)) as server:
            silent = [connected(server.port) for _ in range(40)]
            assert httpx.get(f"http://127.0.0.1:{server.port}/health").text == "ok"
            assert [rest(one) for one in silent[:30]] == [b""] * 30
            assert server.open in range(9)
            for one in silent:
                one.close()

    def test_a_kept_connection_is_missed_more_than_a_silent_one(self) -> None:
        with (
            BoundedServer(ConnectionLimits(3)) as server,
            httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as kept,
        ):
            assert kept.get("/health").text == "ok"
            silent = [connected(server.port) for _ in range(5)]
            until(lambda: server.ended("evicted") == 3)
            extensions = kept.get("/health").extensions
            assert extensions["network_stream"].get_extra_info("socket") is not None
            assert server.ended("evicted") == 3  # the kept one was still there
            for one in silent:
                one.close()

    def test_where_all_are_served_the_next_is_refused(self) -> None:
        with BoundedServer(ConnectionLimits(2)) as server:
            busy = [connected(server.port) for _ in range(2)]
            for one in busy:
                one.sendall(b"POST /wait HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n")
            until(lambda: server.open == 2)
            with connected(server.port) as third:
                assert problem_of(rest(third)) == (503, "too_many_connections")
            server.answer()
            assert [one.recv(15) for one in busy] == [b"HTTP/1.1 200 OK"] * 2
            for one in busy:
                one.close()
            until(lambda: server.open == 0)

    def test_a_process_with_few_descriptors_answers_its_probes(self, tmp_path: Path) -> None:
        """ulimit -n 256 and 600 silent connections: asyncio alone writes a traceback for every try."""
        log = tmp_path / "log"
        program = [sys.executable, str(Path(__file__).with_name("bounded_server.py"))]
        with (
            log.open("wb") as stderr,
            subprocess.Popen(
                program,
                stdout=subprocess.PIPE,
                stderr=stderr,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
            ) as process,
        ):
            assert process.stdout is not None
            port = int(process.stdout.readline())
            silent = [connected(port) for _ in range(600)]
            answers = {httpx.get(f"http://127.0.0.1:{port}/health", timeout=_LIMIT_S).text for _ in range(20)}
            for one in silent:
                one.close()
            process.terminate()
        assert answers == {"ok"}
        assert log.read_bytes() == b""

    def test_the_limit_leaves_descriptors_for_the_rest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
        assert connections_for(None, files_open=50) == 1024 - 50 - 128
        assert connections_for(100, files_open=50) == 100
        monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
        assert connections_for(None, files_open=50) == 1


class TestAfterTheAnswer:
    """Bodies that nobody reads, answers that nobody takes."""

    def test_the_rest_of_a_refused_body_ends_the_connection(self) -> None:
        with BoundedServer(ConnectionLimits(8, unread_body_s=0.2)) as server:
            with connected(server.port) as endless:
                endless.sendall(
                    b"POST /refuse HTTP/1.1\r\nHost: here\r\nContent-Length: 999999999999\r\n\r\n"
                )
                with suppress(BrokenPipeError, ConnectionResetError):
                    while True:
                        endless.sendall(b"a" * 1000)
            assert server.ended("unread_body") == 1

    def test_one_that_comes_whole_keeps_the_connection(self) -> None:
        with BoundedServer(ConnectionLimits(8)) as server, connected(server.port) as whole:
            for _ in range(2):
                whole.sendall(b"POST /refuse HTTP/1.1\r\nHost: here\r\nContent-Length: 500000\r\n\r\n")
                assert whole.recv(12) == b"HTTP/1.1 401"
                whole.sendall(b"a" * 500_000)
                until(lambda: whole.recv(65536).endswith(b"ok"))

    def test_who_does_not_take_the_answer_is_left(self) -> None:
        with BoundedServer(ConnectionLimits(8, unread_answer_s=0.2)) as server:
            with connected(server.port) as idle:
                idle.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
                until(lambda: server.ended("unread_answer") == 1)
                assert len(rest(idle)) < LARGE_BYTES
            until(lambda: server.left == ["/large"])

    def test_who_sends_no_more_because_the_service_reads_no_further_is_not_left(self) -> None:
        with (
            BoundedServer(ConnectionLimits(8, unread_answer_s=0.1)) as server,
            connected(server.port) as paused,
            connected(server.port) as idle,
        ):
            paused.sendall(b"GET /paused HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            idle.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
            until(lambda: server.ended("unread_answer") == 1)  # who came later, and is to blame
            assert len(rest(paused)) > LARGE_BYTES


def test_the_service_has_these_bounds() -> None:
    with LiveService(ScriptedEngine(well_behaved), header_timeout_s=0.2, max_header_bytes=2048) as live:
        port = int(live.url.rpartition(":")[2])
        with connected(port) as half:
            half.sendall(b"GET /health HTTP/1.1\r\n")
            assert problem_of(rest(half)) == (408, "header_timeout")
        with connected(port) as large:
            large.sendall(b"GET /health HTTP/1.1\r\nX: " + b"a" * 4000)
            assert problem_of(rest(large)) == (431, "headers_too_large")
        metrics = httpx.get(f"{live.url}/metrics").text
        assert 'edit_rrm_connections_ended_total{reason="slow_headers"} 1.0' in metrics
