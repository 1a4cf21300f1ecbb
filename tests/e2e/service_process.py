"""A real server process: started by the console script, waited for, ended by SIGTERM, nothing left of it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

START_LIMIT_S = 240.0
END_LIMIT_S = 120.0
_LISTENING = re.compile(r"listening on (http://\S+);")


@contextmanager
def served(directory: Path, *arguments: str) -> Iterator["ServiceProcess"]:
    """A ready service; at the end it has ended well and left no process behind."""
    process = ServiceProcess(directory, *arguments)
    try:
        process.wait_until_ready()
        yield process
    finally:
        status, left = process.end(), process.left_behind()
    assert status == 0, process.log.read_text()[-3000:]
    assert left == []


class ServiceProcess:
    """`edit-rrm-server serve` with `arguments` on a free port. Its output goes to files under `directory`."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self._directory = directory
        script = Path(sys.executable).with_name("edit-rrm-server")
        command = [str(script), "serve", "--port", "0", *arguments]
        with self.log.open("wb") as errors, (directory / "access.log").open("wb") as lines:
            # A session of its own tells its processes from all others, whatever becomes of their parents.
            self.process = subprocess.Popen(command, stdout=lines, stderr=errors, start_new_session=True)
        self.url = self._wait_for_address()
        self.http = httpx.Client(base_url=self.url, timeout=120.0)

    @property
    def log(self) -> Path:
        """Standard error of the process."""
        return self._directory / "serve.log"

    @property
    def access_lines(self) -> list[str]:
        """Standard output of the process."""
        return (self._directory / "access.log").read_text().splitlines()

    def wait_until_ready(self) -> float:
        """Seconds waited. Fails if the process ends or takes too long."""
        started = time.monotonic()
        while self.http.get("/ready").status_code != 200:
            self._assert_running(started)
            time.sleep(0.2)
        return time.monotonic() - started

    def processes(self) -> list[psutil.Process]:
        """Every process of the session that is not already gone."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    def wait_for_step(self, what: str) -> None:
        """Waits until the start has come to this step."""
        started = time.monotonic()
        while what not in self.log.read_text():
            self._assert_running(started)
            time.sleep(0.05)

    def end(self) -> int:
        """Sends SIGTERM and returns the exit status."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_LIMIT_S)

    def left_behind(self, within_s: float = 10.0) -> list[psutil.Process]:
        """Processes that outlive the service by more than `within_s`; they are killed."""
        _, alive = psutil.wait_procs(self.processes(), timeout=within_s)
        for process in alive:
            process.kill()
        return alive

    def _wait_for_address(self) -> str:
        started = time.monotonic()
        while True:
            found = _LISTENING.search(self.log.read_text())
            if found:
                return found[1]
            self._assert_running(started)
            time.sleep(0.05)

    def _assert_running(self, started: float) -> None:
        assert self.process.poll() is None, f"the service ended: {self.log.read_text()[-3000:]}"
        assert time.monotonic() - started < START_LIMIT_S, f"too slow: {self.log.read_text()[-3000:]}"
