"""Whether an engine comes forward: when each of its ranks last ended a step, and since when it has had work.

An engine that hangs (a driver, a collective, a stopped process) neither answers nor dies. One that reads a
long prompt ends a step after each part of it.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class RankSteps:
    """Of one rank: seconds since its last step (infinite: none seen), and since it has had work (None: it
    has none)."""

    quiet_s: float
    busy_s: float | None

    def later(self, seconds: float, *, busy: bool) -> "RankSteps":
        """The same if nothing was heard of it since; `busy`: whether it can still have that work."""
        return RankSteps(self.quiet_s + seconds, self.busy_s + seconds if busy and self.busy_s else None)


StepReport = Mapping[int, RankSteps]
"""What one observer knows of the ranks of an engine."""


class Steps:
    """What one client of an engine sees of it. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[int, float] = {}
        self._prompts: dict[int, int] = {}
        self._busy_since: dict[int, float] = {}

    def ended(self, rank: int) -> None:
        """A step of the rank has ended."""
        self._last[rank] = self._clock()

    @contextmanager
    def work(self, rank: int) -> Iterator[None]:
        """A prompt is in the rank meanwhile."""
        count = self._prompts.get(rank, 0)
        if not count:
            self._busy_since[rank] = self._clock()
        self._prompts[rank] = count + 1
        try:
            yield
        finally:
            self._prompts[rank] -= 1

    def report(self) -> StepReport:
        """What is known now."""
        now = self._clock()
        return {
            rank: RankSteps(
                now - self._last.get(rank, -math.inf),
                now - self._busy_since[rank] if self._prompts.get(rank) else None,
            )
            for rank in self._last.keys() | self._prompts.keys()
        }


def stalled_s(reports: Sequence[StepReport]) -> float:
    """For how long a rank that has work has ended no step, by all that its observers saw; the longest.

    A rank counts from the first prompt it was given on, if its last step is longer ago.
    """
    longest = 0.0
    for rank in {rank for report in reports for rank in report}:
        seen = [report[rank] for report in reports if rank in report]
        busy = [steps.busy_s for steps in seen if steps.busy_s is not None]
        if busy:
            longest = max(longest, min(max(busy), min(steps.quiet_s for steps in seen)))
    return longest
