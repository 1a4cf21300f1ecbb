"""pytest, watched to its end: `python tests/watched.py [pytest's arguments]`, as `make test` does.

Whatever a test leaves behind becomes a child of this process, which names it, ends it and fails the run. A
pytest that ends without its summary is said to have done so. Linux; elsewhere only the latter is seen.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

import psutil

STATE_FILE = "WATCHED_STATE"
State = Literal["started", "ended"]
NO_SUMMARY, LEFT_BEHIND = 70, 71
"""Exit statuses of this program; others are pytest's."""
# What pytest ends with before any test is run: interrupted, misused.
_BEFORE_TESTS = 2, 4
_ONLY_TELLS = {"-h", "--help", "-V", "--version"}
LEAVE_LIMIT_S = float(os.environ.get("WATCHED_LEAVE_S", "20"))
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    """Runs pytest; the exit status."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="watched-") as folder:
        state = Path(folder, "state")
        command = [sys.executable, "-m", "pytest", *arguments]
        process = subprocess.Popen(command, env={**os.environ, STATE_FILE: str(state)})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pytest gets it, too, and writes its summary
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        status = _wait(process.pid)
        if not state.exists() and _ended_by_itself(status, arguments):
            status = 2 if status == -signal.SIGINT else status
        elif not state.exists() or state.read_text() != "ended":
            print(f"\npytest ended without its summary: {_named(status)}", file=sys.stderr)
            status = NO_SUMMARY
    left = _end_what_is_left()
    for line in left:
        print(f"left behind by the tests and ended: {line}", file=sys.stderr)
    return LEFT_BEHIND if left and status == 0 else status


def tell(state: State) -> None:
    """From the watched pytest: its session has started; all of its summary is written."""
    if STATE_FILE in os.environ:
        Path(os.environ[STATE_FILE]).write_text(state)


def _ended_by_itself(status: int, arguments: list[str]) -> bool:
    """Of a pytest that started no session: was there none to start?"""
    if status == 0:
        return not _ONLY_TELLS.isdisjoint(arguments)
    return status in _BEFORE_TESTS or status == -signal.SIGINT


def _wait(pid: int) -> int:
    """pytest's exit status. Orphans are reaped as they end: a test that waits for one would see a zombie."""
    while True:
        found, status = os.wait()
        if found == pid:
            return os.waitstatus_to_exitcode(status)


def _named(status: int) -> str:
    return f"exit status {status}" if status >= 0 else signal.Signals(-status).name


def _end_what_is_left() -> list[str]:
    """Descendants that outlive pytest by more than `LEAVE_LIMIT_S`, as command lines; they are killed."""
    found = psutil.Process().children(recursive=True)
    _, alive = psutil.wait_procs(found, timeout=LEAVE_LIMIT_S)
    told = []
    while alive:
        for process in alive:
            try:
                told.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(alive)
        alive = psutil.Process().children(recursive=True)  # what those had started comes up now
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
