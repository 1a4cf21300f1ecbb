"""How long a run will go on, from the steps it has made so far. Pure but for its clock."""

import time
from collections.abc import Callable


class TimeLeft:
    """Of a run of `total` steps, which may have begun earlier: only the steps seen here are reckoned by."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def after(self, step: int) -> str:
        """ ", about 6 s left", or nothing at the first step seen and at the last of all."""
        now_s = self._clock()
        if self._first is None or step <= self._first[0]:
            self._first = (step, now_s)
            return ""
        a_step_s = (now_s - self._first[1]) / (step - self._first[0])
        left = self._total - step
        return f", about {duration(a_step_s * left)} left" if left > 0 else ""


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as people say it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
