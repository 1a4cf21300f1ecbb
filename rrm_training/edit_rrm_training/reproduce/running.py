"""Runs the stages of a graph, each in a process of its own; several processes may run one graph together.

A process takes the first stage that is not done, whose needs are met and that nobody holds, and waits while
others hold what is left. How a stage is launched is given to it.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from edit_rrm_training.errors import StepError
from edit_rrm_training.reproduce.graph import Stage
from edit_rrm_training.reproduce.state import StageStates

Launch = Callable[[Stage, int], None]
"""Runs a stage to its end, in a process that inherits the descriptor of the stage's lock; raises StepError
when it fails."""


def run_graph(
    stages: Sequence[Stage],
    states: StageStates,
    launch: Launch,
    *,
    say: Callable[[str], None] = print,
    wait: Callable[[], None] = lambda: time.sleep(5.0),
) -> None:
    """Runs what is left of `stages`; needs outside them must be done. Raises StepError."""
    by_name = {stage.name: stage for stage in stages}
    for stage in stages:
        missing = [name for name in stage.needs if name not in by_name and not states.is_done(name)]
        if missing:
            raise StepError(f"{stage.name} needs {', '.join(missing)}, which {_is(missing)} not done")
    left = dict(by_name)
    waited = ""
    while left:
        left = {name: stage for name, stage in left.items() if not states.is_done(name)}
        if _run_one(left, states, launch, say):
            continue
        if left and waited != (now := ", ".join(left)):
            say(f"waiting for another process; left: {now}")
            waited = now
        if left:
            wait()


def _run_one(
    left: Mapping[str, Stage], states: StageStates, launch: Launch, say: Callable[[str], None]
) -> bool:
    """Runs the first stage that can run now; False when there is none."""
    for name, stage in left.items():
        if not all(states.is_done(need) for need in stage.needs):
            continue
        with states.locked(name) as lock:
            if lock is None or states.is_done(name):
                continue
            say(f"{name}: begun, about {stage.minutes:.0f} min, log in {states.log(name)}")
            launch(stage, lock)
        if not states.is_done(name):
            raise StepError(f"{name} ended without being done; see {states.log(name)}")
        record = states.read(name)
        say(f"{name}: done in {record.wall_s / 60:.1f} min" if record else name)
        return True
    return False


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
