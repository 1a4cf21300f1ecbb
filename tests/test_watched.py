"""A run of the tests ends with pytest's summary, or says that it did not, and leaves no process."""

import os
import subprocess
import sys
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
from watched import ENDED_FILE

def pytest_configure(config):
    config.addinivalue_line("markers", "own_process: …")
    config.pluginmanager.register(own_process)

def pytest_unconfigure(config):
    Path(os.environ[ENDED_FILE]).touch()
"""
SLEEPER = """
import subprocess, sys
from pathlib import Path
def start():
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    Path("sleeper").write_text(str(subprocess.Popen(command, start_new_session=True).pid))
"""


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """The body as a module of tests, run as `make test` runs all."""
    (folder / "conftest.py").write_text(CONFTEST.format(here=str(HERE)))
    (folder / "sleeper.py").write_text(SLEEPER)
    (folder / "test_body.py").write_text(f"import os, signal, pytest, sleeper\n{body}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(folder), "WATCHED_LEAVE_S": "0.2"}
    command = [sys.executable, str(WATCHED), "-qs", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    return subprocess.run(
        [*command, str(folder / "test_body.py")], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


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
