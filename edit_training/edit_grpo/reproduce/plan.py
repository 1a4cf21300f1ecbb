"""Every number of the reproduction in one place, and its stages. It knows no path and runs nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Kind = Literal["data", "train", "measure", "table"]
Reward = Literal["gcpo", "sft"]


@dataclass(frozen=True)
class EditPlan:
    """What is trained against what, and on what it is measured."""

    editor: str = "shapes-editor"
    rewards: Mapping[Reward, str] = field(
        default_factory=lambda: {"gcpo": "edit-rrm-tiny", "sft": "edit-rrm-tiny-sft"}
    )
    """Names of the server's bundled checkpoints, directories of others, or addresses of their services."""
    seeds: tuple[int, ...] = (0, 1)
    world: int = 41
    """Of the edits that are trained on; no reward model and no editor has seen it."""
    edits: int = 1200
    grid_world: int = 1041
    grid_edits: int = 8
    test_world: int = 2041
    test_edits: int = 300
    updates: int = 100
    measure_every: int = 20
    settings: tuple[str, ...] = ()
    """Further assignments of `edit-grpo train --set`."""


@dataclass(frozen=True)
class Run:
    """One training: the editor against one reward model, with one seed."""

    reward: Reward
    seed: int

    def __str__(self) -> str:
        return f"{self.reward}-seed{self.seed}"


@dataclass(frozen=True)
class Stage:
    """One resumable piece of work; its outputs lie in a folder of its name."""

    name: str
    kind: Kind
    minutes: float
    """Estimated, on two cores."""
    needs: tuple[str, ...] = ()
    run: Run | None = None


FULL = EditPlan()
QUICK = EditPlan(
    rewards={"gcpo": "edit-rrm-tiny"}, seeds=(0,), edits=4, grid_edits=1, test_edits=2, updates=1,
    measure_every=1,
    settings=(
        "sampling.group_size=2", "sampling.groups=1", "sampling.steps=2", "sampling.micro_batch=2",
        "algorithm.window.size=1", "algorithm.window.last=0", "optimizer.minibatches=1",
    ),
)  # fmt: skip
"""Goes through every stage in minutes; its numbers mean nothing."""


def runs_of(plan: EditPlan) -> list[Run]:
    """In the order in which they are best run: every reward once, then the next seed."""
    return [Run(reward, seed) for seed in plan.seeds for reward in plan.rewards]


def graph(plan: EditPlan) -> tuple[Stage, ...]:
    """All stages in order."""
    stages = [Stage("data", "data", 1.0)]
    for run in runs_of(plan):
        train = Stage(f"train-{run}", "train", 0.5 * plan.updates, ("data",), run)
        stages += [train, Stage(f"measure-{run}", "measure", 1.5 * measured(plan), (train.name,), run)]
    measurements = tuple(stage.name for stage in stages if stage.kind == "measure")
    return (*stages, Stage("table", "table", 0.2, measurements))


def measured(plan: EditPlan) -> int:
    """How often a run is measured, its beginning counted."""
    return plan.updates // plan.measure_every + 1


def settings_of(stage: Stage, plan: EditPlan) -> dict[str, Any]:
    """The numbers that a stage's outputs depend on, as JSON holds them."""
    if stage.kind == "table":
        return {}
    known = (
        replace(plan, seeds=(), rewards={stage.run.reward: plan.rewards[stage.run.reward]})
        if stage.run
        else (replace(plan, seeds=(), rewards={}, settings=(), updates=0, measure_every=0, editor=""))
    )
    values = asdict(known)
    del values["seeds"]
    if stage.kind == "train":
        del values["test_world"], values["test_edits"]
    values["settings"] = list(values["settings"])
    return values
