"""How far a download is, as a line of text: often for a terminal, seldom for a log."""

import sys
import time
from collections.abc import Callable

_WIDTH = 24
_GIB = 2**30
_LOG_EVERY_S = 15.0


class Transfer:
    """Tells `say` of a transfer: of every report where somebody watches, else of one in a quarter minute."""

    def __init__(
        self,
        what: str,
        say: Callable[[str], None],
        *,
        watched: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._say = say
        self._watched = sys.stderr.isatty() if watched is None else watched
        self._clock = clock
        self._began: tuple[float, int] | None = None
        self._next_s = -1.0

    def report(self, done_bytes: int, total_bytes: int) -> None:
        """So much of it is there."""
        now = self._clock()
        if self._began is None:
            self._began = (now, done_bytes)
        if now < self._next_s and done_bytes < total_bytes:
            return
        self._next_s = now if self._watched else now + _LOG_EVERY_S
        self._say(f"{self._what} {self._state(now, done_bytes, total_bytes)}")

    def _state(self, now: float, done: int, total: int) -> str:
        assert self._began is not None
        began_at, began_with = self._began
        share = min(1.0, done / total) if total else 1.0
        full = round(share * _WIDTH)
        bar = f"{'━' * full}{'─' * (_WIDTH - full)} " if self._watched else ""
        text = f"{bar}{share:.0%} of {_size(total)}"
        if now - began_at >= 1.0 and done > began_with:
            text += f", {(done - began_with) / (now - began_at) / 2**20:.1f} MiB/s"
        return text


def _size(count_bytes: int) -> str:
    return f"{count_bytes / _GIB:.1f} GiB" if count_bytes >= _GIB else f"{count_bytes / 2**20:.1f} MiB"
