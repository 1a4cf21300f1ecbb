"""Runs the stages of a graph, each in a process of its own; several processes may run one graph together.

A process takes the first stage that is not done, whose needs are met and that nobody holds, and waits while
others hold what is left. How a stage is launched is given to it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edit_rrm_shapes.errors import StageError
from edit_rrm_shapes.staged.state import StageStates


@dataclass(frozen=True)
class Stage:
    """One resumable piece of work; its outputs lie in a folder of its name. What it does, a subclass says."""

    name: str
    """Unique in its graph."""
    minutes: float
    """Estimated."""
    needs: tuple[str, ...] = ()
    """The stages that must be done before."""


S = TypeVar("S", bound=Stage)
Launch = Callable[[S, int], None]
"""Runs a stage to its end, in a process that inherits the descriptor of the stage's lock; raises StageError
when it fails."""


def run_graph(
    stages: Sequence[S],
    states: StageStates,
    launch: Launch[S],
    *,
    say: Callable[[str], None] = print,
    wait: Callable[[], None] = lambda: time.sleep(5.0),
) -> None:
    """Runs what is left of `stages`; its needs outside them must be done. Raises StageError."""
    by_name = {stage.name: stage for stage in stages}
    for stage in stages:
        if states.is_done(stage.name):
            continue
        missing = [name for name in stage.needs if name not in by_name and not states.is_done(name)]
        if missing:
            raise StageError(f"{stage.name} needs {', '.join(missing)}, which {_is(missing)} not done")
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


def launch_process(
    states: StageStates, name: str, module: str, arguments: Sequence[str], threads: int, lock: int
) -> None:
    """Runs `python -m module arguments`, its output in the stage's log; it holds the stage with this process.

    It ends with this process. Raises StageError for a status that is not 0.
    """
    log = states.log(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, pass_fds=(lock,),
            env={
                "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # large pages: fewer faults under large tensors
                "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # two engines would share one core
                **os.environ,
                "OMP_NUM_THREADS": str(threads),
                "PYTHONUNBUFFERED": "1",
            },
        )  # fmt: skip
        try:
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if status:
        raise StageError(f"{name} failed with status {status}; see {log}")


def _run_one(
    left: Mapping[str, S], states: StageStates, launch: Launch[S], say: Callable[[str], None]
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
            raise StageError(f"{name} ended without being done; see {states.log(name)}")
        record = states.read(name)
        say(f"{name}: done in {record.wall_s / 60:.1f} min" if record else name)
        return True
    return False


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
