"""What a training tells at its start, on its way and at its end: whether it goes on, how long, what is next.

Of several processes the first one speaks.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from edit_rrm.time_left import TimeLeft, duration
from edit_rrm_training.gcpo.no_gradient import NO_GRADIENT
from edit_rrm_training.runs.settings import RunSettings

Say = Callable[[str], None]


class RunStory:
    """One run, from its settings; `clock` is in seconds."""

    def __init__(self, settings: RunSettings, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._say: Say = say if os.environ.get("RANK", "0") == "0" else lambda _: None
        self._clock = clock
        self._begun_s = clock()
        self._left = TimeLeft(settings.steps, clock)

    def begins(self, checkpoint: Path | None, *, finished: bool) -> None:
        """`checkpoint` is what the run found in its directory; `finished`, that nothing is left to do."""
        out, steps = self._settings.out, self._settings.steps
        if finished:
            self._say(f"{out} is finished already; choose another out, or at a constant rate more steps")
        elif checkpoint is not None:
            self._say(f"goes on in {out} after {checkpoint.name}, of {steps} steps")
        else:
            self._say(f"begins in {out}: {steps} steps; after a stop the same command goes on")

    def step(self, step: int, values: Mapping[str, float], shown: tuple[str, ...]) -> None:
        """A line of the log: some of its numbers, and the time left once there is something to reckon by."""
        found = [f"{name.rpartition('/')[2]} {values[name]:.4g}" for name in shown if name in values]
        if found:
            self._say(" ".join([f"{step} of {self._settings.steps}:", *found]) + self._left.after(step))

    def ends(self, final: Path) -> None:
        """What was made, how long it took, and what to do with it."""
        run = self._settings.out
        self._say(
            f"finished in {duration(self._clock() - self._begun_s)}: {final}\n"
            f"serve it:   edit-rrm-server serve --model {run}\n"
            f"measure it: edit-rrm-train evaluate-pairs --checkpoint {run} --pairs PAIRS.jsonl"
        )

    def taught_nothing(self) -> None:
        """In place of an end: no step had a gradient."""
        self._say(f"nothing was learned, {self._settings.out} has its base's weights: {NO_GRADIENT}")
