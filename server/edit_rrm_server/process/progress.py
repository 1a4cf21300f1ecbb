"""What the terminal shows while the service comes up: a live line, or plain lines when nobody watches."""

import time
from contextlib import suppress

from rich.console import Console
from rich.status import Status


class StartProgress:
    """Steps of the start, with the seconds since `started_at` (monotonic), on standard error."""

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live: Status | None = None

    def step(self, what: str) -> None:
        """A step begins: the live line tells of it until the next. May be called from any thread."""
        if not self._console.is_terminal:
            self.say(f"{what}…")
        elif self._live is None:
            self._live = self._console.status(f"{what}…")
            self._live.start()
        else:
            self._live.update(f"{what}… ({self._elapsed_s():.0f} s so far)")

    def say(self, what: str) -> None:
        """A line that stays. One that cannot be written, on a full disk, does not end the load."""
        with suppress(OSError):
            self._console.print(f"{self._elapsed_s():6.1f} s  {what}")

    def end(self) -> None:
        """The start is over; takes the live line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _elapsed_s(self) -> float:
        return time.monotonic() - self.started_at
