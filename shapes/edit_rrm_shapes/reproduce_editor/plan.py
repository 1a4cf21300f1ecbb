"""Every number of the reproduction in one place, and its stages. It runs nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edit_rrm_shapes.models import TINY_GCPO, TINY_SFT
from edit_rrm_shapes.staged import running as staged

if TYPE_CHECKING:
    from edit_rrm_shapes.reproduce_editor.inputs import Inputs

Kind = Literal["data", "train", "measure", "table"]
Reward = Literal["gcpo", "sft"]


@dataclass(frozen=True)
class EditPlan:
    """What is trained against what, and on what it is measured."""

    editor: str = "shapes-editor"
    rewards: Mapping[Reward, str] = field(
        default_factory=lambda: {
            "gcpo": str(TINY_GCPO),
            "sft": str(TINY_SFT),
        }
    )  # fmt: skip
    """Directories of checkpoints, here those that ship (T+V of size M, and seed 0 of its GCPO), or addresses
    of services."""
    seeds: tuple[int, ...] = (0, 1)
    world: int = 41
    """Of the edits that are trained on; no reward model and no editor has seen it."""
    edits: int = 1200
    grid_world: int = 1041
    grid_edits: int = 8
    test_world: int = 2041
    test_edits: int = 300
    updates: int = 40
    measure_every: int = 10
    settings: tuple[str, ...] = ()
    """Further assignments of `edit-grpo train --set`."""


@dataclass(frozen=True)
class Run:
    """One training: the editor against one reward model, with one seed."""

    reward: Reward
    seed: int

    def __str__(self) -> str:
        return f"{self.reward}-seed{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Stage(staged.Stage):
    """A stage of this reproduction; its minutes are those of two cores."""

    kind: Kind
    run: Run | None = None


FULL = EditPlan()
QUICK = EditPlan(
    rewards={"gcpo": FULL.rewards["gcpo"]}, seeds=(0,), edits=4, grid_edits=1, test_edits=2, updates=1,
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
    train_minutes, measure_minutes = 0.25 * plan.updates, 1.0 * len(measured_updates(plan))
    stages = [Stage(name="data", kind="data", minutes=1.0)]
    for run in runs_of(plan):
        train, measure = f"train-{run}", f"measure-{run}"
        stages += [
            Stage(name=train, kind="train", minutes=train_minutes, needs=("data",), run=run),
            Stage(name=measure, kind="measure", minutes=measure_minutes, needs=(train,), run=run),
        ]
    measurements = tuple(stage.name for stage in stages if stage.kind == "measure")
    return (*stages, Stage(name="table", kind="table", minutes=0.2, needs=measurements))


def measured_updates(plan: EditPlan) -> range:
    """After how many updates a run is measured: before the first one, and on."""
    return range(0, plan.updates + 1, plan.measure_every)


def settings_of(stage: Stage, plan: EditPlan, inputs: "Inputs") -> dict[str, Any]:
    """What a stage's outputs depend on, as JSON holds it."""
    if stage.kind == "table":
        return {}
    values = asdict(plan)
    del values["seeds"]
    if stage.run is None:
        names = ("world", "edits", "grid_world", "grid_edits", "test_world", "test_edits")
        return {name: values[name] for name in names}
    # The settings and the files themselves, wherever they lie.
    del values["settings"]
    values |= {
        "rewards": inputs.rewards[stage.run.reward],
        "editor": inputs.editor,
        "training": dict(inputs.training),
    }
    if stage.kind == "train":
        del values["test_world"], values["test_edits"]
    return values
