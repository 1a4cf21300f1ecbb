"""The socket the service listens on."""

import asyncio
import configparser
import errno
import os
import socket

import pytest

from edit_rrm_server.process.progress import StartProgress
from edit_rrm_server.process.serving import _listen, _serve, cannot_listen, inherited_socket
from edit_rrm_server.settings.server import load_settings
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


def test_a_taken_port_ends_the_service_with_a_line_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with _listen("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        settings = load_settings({"port": port})
        assert asyncio.run(_serve(settings, StartProgress(0.0))) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"cannot listen: port {port} of 127.0.0.1 is taken by another process" in said[0]


def test_a_taken_port_is_told_with_the_way_out() -> None:
    with _listen("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        with pytest.raises(OSError, match="in use") as caught:
            _listen("127.0.0.1", port)
    said = cannot_listen("127.0.0.1", port, caught.value)
    assert said.startswith(f"port {port} of 127.0.0.1 is taken by another process")
    assert "--port" in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EACCES, "Permission denied"), "choose one from 1024 on with --port"),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign"), "10.9.8.7 is no address of this machine"),
        (socket.gaierror(-2, "Name or service not known"), "choose another with --host"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    ],
)
def test_an_address_that_is_not_to_be_had_is_told_with_the_option_for_it(error: OSError, said: str) -> None:
    assert said in cannot_listen("10.9.8.7", 80, error)
