"""A run of the tests ends with pytest's summary, or says that it did not, and leaves no process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from own_process import WATCHED
from watched import LEFT_BEHIND, NO_SUMMARY

HERE = Path(__file__).parent
CONFTEST = """
import os, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import own_process
from watched import tell
from workers import WholeFiles

def pytest_configure(config):
    config.addinivalue_line("markers", "own_process: …")
    config.pluginmanager.register(own_process)

def pytest_xdist_make_scheduler(config, log):
    return WholeFiles(config, log)

def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):
        tell("started")

def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        tell("ended")
"""
SLEEPER = """
import subprocess, sys
from pathlib import Path
def start():
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    Path("sleeper").write_text(str(subprocess.Popen(command, start_new_session=True).pid))
"""


def heed_interrupts() -> None:
    """For a child: whoever is started in the background of a shell ignores SIGINT, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(folder: Path, body: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The body as a module of tests, run as `make test` runs all."""
    command, environment = prepared(folder, body, WATCHED)
    return subprocess.run(
        [*command, *options], cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
        check=False, preexec_fn=heed_interrupts,
    )  # fmt: skip


def prepared(folder: Path, body: str, *program: str | Path) -> tuple[list[str], dict[str, str]]:
    """The command that has Python's `program` run the body, and its environment."""
    (folder / "conftest.py").write_text(CONFTEST.format(here=str(HERE)))
    (folder / "sleeper.py").write_text(SLEEPER)
    (folder / "test_body.py").write_text(f"import os, signal, pytest, sleeper\n{body}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment.pop("WATCHED_REPORTS", None)
    environment |= {"PYTHONPATH": str(folder), "WATCHED_LEAVE_S": "0.2"}
    options = ["-qs", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder / "test_body.py")]
    return [sys.executable, *map(str, program), *options], environment


def test_a_pytest_that_dies_is_said_to_have_ended_without_its_summary(tmp_path: Path) -> None:
    ended = run(tmp_path, "def test_it(): os._exit(0)")
    assert ended.returncode == NO_SUMMARY
    assert "without its summary: exit status 0" in ended.stderr
    killed = run(tmp_path, "def test_it(): os.kill(os.getpid(), signal.SIGKILL)")
    assert killed.returncode == NO_SUMMARY
    assert "SIGKILL" in killed.stderr


def test_a_process_that_is_left_is_named_ended_and_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = run(tmp_path, "def test_it(): sleeper.start()")
    assert "1 passed" in ended.stdout
    assert ended.returncode == LEFT_BEHIND
    assert "time.sleep(600)" in ended.stderr
    assert not psutil.pid_exists(int((tmp_path / "sleeper").read_text()))


def test_the_death_of_a_process_of_its_own_is_a_failed_test(tmp_path: Path) -> None:
    body = """
pytestmark = pytest.mark.own_process
def test_before(): pass
def test_fails(): assert not "seen"
def test_dies():
    sleeper.start()
    print("last words", flush=True)
    os._exit(0)
def test_after(): pass
"""
    ended = run(tmp_path, body)
    assert ended.returncode == 1
    assert "3 failed, 1 passed" in ended.stdout
    for told in ("not 'seen'", "test_dies", "its process ended before it", "last words"):
        assert told in ended.stdout
    assert not psutil.pid_exists(int((tmp_path / "sleeper").read_text()))


def test_a_process_of_its_own_that_passes_counts_as_ever(tmp_path: Path) -> None:
    body = """
pytestmark = pytest.mark.own_process
def test_one(): assert os.getppid() != int(os.environ["OUTER"])
@pytest.mark.skip
def test_two(): pass
"""
    outer = "os.environ.setdefault('OUTER', str(os.getppid()))\n"
    ended = run(tmp_path, outer + body)
    assert ended.returncode == 0, ended.stdout
    assert "1 passed, 1 skipped" in ended.stdout


@pytest.mark.slow
def test_an_end_of_pytest_that_needs_no_summary_has_its_own_status(tmp_path: Path) -> None:
    body = "def test_it(): pass"
    assert run(tmp_path, body, "--version").returncode == pytest.ExitCode.OK
    assert run(tmp_path, body, "--help").returncode == pytest.ExitCode.OK
    misused = run(tmp_path, body, "--no-such-option")
    assert misused.returncode == pytest.ExitCode.USAGE_ERROR
    assert "without its summary" not in misused.stderr
    assert run(tmp_path, "raise KeyboardInterrupt").returncode == pytest.ExitCode.INTERRUPTED


def test_an_interrupt_or_a_death_before_the_session_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text("import os; os.kill(os.getpid(), 2)")
    assert run(tmp_path, "", "-p", "early").returncode == pytest.ExitCode.INTERRUPTED
    (tmp_path / "early.py").write_text("import os; os._exit(0)")
    assert run(tmp_path, "", "-p", "early").returncode == NO_SUMMARY


def test_a_test_that_ends_its_worker_fails_once_and_the_others_are_run(tmp_path: Path) -> None:
    body = """
def test_before(): pass
def test_dies():
    with open("deaths", "a") as deaths:
        deaths.write("x")
    os._exit(1)
def test_after(): pass
"""
    ended = run(tmp_path, body, "-n1")
    assert ended.returncode == 1
    assert "1 failed, 2 passed" in ended.stdout
    assert (tmp_path / "deaths").read_text() == "x"


@pytest.mark.slow
def test_ctrl_c_in_plain_pytest_ends_a_process_of_its_own(tmp_path: Path) -> None:
    body = """
pytestmark = pytest.mark.own_process
def test_sleeps():
    sleeper.start()
    import time; time.sleep(600)
"""
    command, environment = prepared(tmp_path, body, "-m", "pytest")
    outer = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        preexec_fn=heed_interrupts,
    )
    try:
        pid = _waited_for(tmp_path / "sleeper")
        below = psutil.Process(outer.pid).children(recursive=True)
        outer.send_signal(signal.SIGINT)
        assert outer.wait(60) == pytest.ExitCode.INTERRUPTED
        _, left = psutil.wait_procs([*below, *_if_alive(pid)], timeout=20)
        assert not left
    finally:
        outer.kill()
        outer.wait()


def _waited_for(file: Path) -> int:
    """What a test that runs elsewhere writes into it."""
    for _ in range(600):
        if file.exists() and (text := file.read_text()):
            return int(text)
        time.sleep(0.1)
    raise AssertionError(f"there is no {file} after a minute")


def _if_alive(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid)] if psutil.pid_exists(pid) else []
