"""The demo's own service: started on a free port, watched, and always brought to an end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

STOP_TIMEOUT_S = 20.0


class ServiceDiedError(RuntimeError):
    """The service's process ended before the demo was done with it."""


class Service:
    """An `edit-rrm-server serve` process of this interpreter's environment; a context manager.

    It leads a process group of its own, so that leaving the block ends the engine's children too. `options`
    are `serve`'s, after those that say where it listens.
    """

    def __init__(
        self, log_path: Path, command: list[str] | None = None, options: tuple[str, ...] = ()
    ) -> None:
        self.log_path = log_path
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        server = str(Path(sys.executable).parent / "edit-rrm-server")
        listening = ("--host", "127.0.0.1", "--port", str(self.port))
        self._command = command or [server, "serve", *listening, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Service":
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        environment = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", **os.environ}
        with self.log_path.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise ServiceDiedError(
                    f"cannot start {self._command[0]}: {error}; run `make install`"
                ) from error
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raises ServiceDiedError when the process has ended."""
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise ServiceDiedError(
                f"the service ended with code {code}; its last words:\n{self.last_words()}"
            )

    def last_words(self, lines: int = 12) -> str:
        """The end of the log."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """SIGTERM, a while to drain, then SIGKILL for whatever is left of the group."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
