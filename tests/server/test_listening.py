"""The socket the service listens on."""

import configparser
import os
import socket

import pytest

from edit_rrm_server.process.serving import _listen, inherited_socket
from guide_blocks import blocks_of


def test_an_answer_is_not_held_back_until_its_headers_are_acknowledged() -> None:
    with (
        _listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert accepted.proto == socket.IPPROTO_TCP


def test_who_reads_the_announced_address_is_not_refused() -> None:
    with _listen("127.0.0.1", 0) as listening:
        socket.create_connection(listening.getsockname(), timeout=5).close()


def test_a_socket_that_the_starter_holds_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with _listen("127.0.0.1", 0) as held, socket.create_connection(held.getsockname()) as waiting:
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        taken = inherited_socket(os.dup(held.fileno()))
        assert taken is not None
        with taken, taken.accept()[0] as accepted:  # what came before this process is served by it
            assert accepted.getpeername() == waiting.getsockname()
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert "LISTEN_FDS" not in os.environ
        assert inherited_socket() is None


@pytest.mark.parametrize(("ours", "count"), [(False, "1"), (True, "0"), (True, "x")])
def test_a_socket_of_another_process_is_none_of_ours(
    monkeypatch: pytest.MonkeyPatch, ours: bool, count: str
) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()) if ours else "1")
    monkeypatch.setenv("LISTEN_FDS", count)
    assert inherited_socket() is None


def test_what_does_not_listen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    with socket.socket() as plain, pytest.raises(OSError, match="no socket that listens"):
        inherited_socket(os.dup(plain.fileno()))


def test_the_units_of_the_guide_belong_together() -> None:
    (block,) = (block for block in blocks_of("operations.md") if block.language == "ini")
    units = configparser.ConfigParser()
    units.read_string(block.code)
    assert units["Socket"]["ListenStream"].startswith("127.0.0.1:")  # others need keys
    assert units["Service"]["ExecStart"].endswith("edit-rrm-server serve")
    assert int(units["Service"]["TimeoutStopSec"]) >= 90  # the drain, and half a minute more
