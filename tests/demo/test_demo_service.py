"""The demo's service process: whatever happens, nothing of it is left."""

import contextlib
import os
import sys
import time
from pathlib import Path

import pytest

from service import Service, ServiceDiedError

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)"
)
WITH_A_CHILD = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(child.pid, flush=True); time.sleep(600)"
)


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def wait_for_words(service: Service) -> str:
    deadline_s = time.monotonic() + 30
    while not (words := service.last_words().strip()):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    return words


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a zombie nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def child_of_a_demo_that_fails(service: Service) -> int:
    with contextlib.suppress(ZeroDivisionError), service:
        child = int(wait_for_words(service))
        assert is_running(child)
        raise ZeroDivisionError
    return child


def test_a_child_of_the_service_ends_with_it_also_when_the_demo_fails(tmp_path: Path) -> None:
    child = child_of_a_demo_that_fails(Service(tmp_path / "log", python(WITH_A_CHILD)))
    deadline_s = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_service_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.STOP_TIMEOUT_S", 0.2)
    with Service(tmp_path / "log", python(STUBBORN)) as service:
        wait_for_words(service)
        process = service._process
        assert process is not None
    assert process.returncode == -9
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_service_that_dies_is_noticed_with_its_last_words(tmp_path: Path) -> None:
    with Service(tmp_path / "log", python("import sys; print('no model here'); sys.exit(3)")) as service:
        process = service._process
        assert process is not None
        process.wait(30)
        with pytest.raises(ServiceDiedError, match=r"(?s)code 3.*no model here"):
            service.check()


def test_a_missing_program_says_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(ServiceDiedError, match="make install"),
        Service(tmp_path / "log", ["/no/such/program"]),
    ):
        pass


def test_options_are_handed_on_to_serve(tmp_path: Path) -> None:
    service = Service(tmp_path / "log", options=("--model", "org/name"))
    assert service._command[1:4] == ["serve", "--host", "127.0.0.1"]
    assert service._command[-4:] == ["--port", str(service.port), "--model", "org/name"]
