"""A reward service for one stage: started on a free port, waited for, and ended with the stage."""

import ctypes
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edit_grpo.errors import ServiceAwayError
from edit_rrm_client import Probe, RewardClient, UnavailableError

READY_S = 600.0
END_S = 60.0
_PR_SET_PDEATHSIG = 1
_LIBRARY = ctypes.CDLL(None)  # here, since between fork and exec nothing may be loaded


@contextmanager
def serving(model: str, log: Path) -> Iterator[str]:
    """The address of an `edit-rrm-server` with that checkpoint, ready. Raises ServiceAwayError.

    A model given by the address of its service is served already.
    """
    if is_address(model):
        yield model
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [
        str(Path(sys.executable).with_name("edit-rrm-server")),
        "serve",
        "--model",
        model,
        "--port",
        str(port),
    ]
    with log.open("ab") as output:
        process = start(command, output)

    def alive(probe: Probe, waited_s: float) -> None:
        if process.poll() is not None:
            raise ServiceAwayError(
                f"the service of {model} ended with status {process.returncode}, see {log}"
            )

    url = f"http://127.0.0.1:{port}"
    try:
        with RewardClient(url) as client:
            try:
                client.wait_until_ready(READY_S, alive, poll_s=1.0)
            except UnavailableError as error:
                raise ServiceAwayError(f"the service of {model} did not start, see {log}: {error}") from error
        yield url
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start(command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """A process that Linux sends SIGTERM when this one dies: who is killed cannot end what it began."""
    return subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )  # fmt: skip


def _end_with_parent() -> None:
    _LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def is_address(model: str) -> bool:
    """Whether a reward model is named by where it is served."""
    return model.startswith(("http://", "https://"))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
