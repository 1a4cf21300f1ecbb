"""The stages of a plan and which need which. Pure: names and numbers, nothing that trains."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from edit_rrm_shapes.reproduce_rrm.plan import CREDITS, VARIANTS, GcpoPlan, Plan, Variant
from edit_rrm_shapes.staged import running as staged
from edit_rrm_shapes.tiny_rrm.model import Size
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs.settings import Credit

Kind = Literal["data", "base", "sft", "gcpo", "evaluate", "table"]


@dataclass(frozen=True)
class Model:
    """A trained model of the table: a variant by SFT, or T+V after GCPO with one seed."""

    size: Size
    variant: Variant
    seed: int | None = None
    """GCPO's; None before GCPO."""
    credit: Credit = "all_scores"
    """GCPO's; without meaning before it."""

    def __str__(self) -> str:
        if self.seed is None:
            return f"{self.size}-{self.variant}"
        return f"{self.size}-{'trace-' if self.credit == 'trace' else ''}seed{self.seed}"

    @property
    def name(self) -> str:
        """What the table calls it."""
        return VARIANTS[self.variant] if self.seed is None else f"{CREDITS[self.credit]}, seed {self.seed}"

    @property
    def stage(self) -> str:
        """The stage that trains it."""
        return f"{'sft' if self.seed is None else 'gcpo'}-{self}"

    @property
    def evaluation(self) -> str:
        """The stage that measures it."""
        return f"evaluate-{self}"


@dataclass(frozen=True, kw_only=True)
class Stage(staged.Stage):
    """A stage of this reproduction; its minutes are those of one core."""

    kind: Kind
    size: Size | None = None
    model: Model | None = None
    """Of a training or an evaluation."""


def models_of(plan: Plan) -> list[Model]:
    """The rows of the table: per size the variants, then the seeds of GCPO."""
    return [
        model
        for size, of_size in plan.sizes.items()
        for model in (
            *(Model(size, variant) for variant in VARIANTS),
            *(model for gcpo in of_size.gcpo for model in after_gcpo(size, gcpo)),
        )
    ]


def after_gcpo(size: Size, gcpo: GcpoPlan) -> tuple[Model, ...]:
    """T+V after it, a model a seed."""
    return tuple(Model(size, "tv", seed, gcpo.credit) for seed in gcpo.seeds)


def graph(plan: Plan) -> tuple[Stage, ...]:
    """All stages in the order in which they are best begun: what others wait for goes first."""
    stages = [Stage(name="data", kind="data", minutes=plan.data_minutes)]
    stages += [
        Stage(name=f"base-{size}", kind="base", minutes=of_size.minutes.base, size=size)
        for size, of_size in plan.sizes.items()
    ]
    models = sorted(models_of(plan), key=lambda model: (model.variant != "tv", model.seed or 0))
    for model in models:
        stages += _of_model(plan, model)
    measured = tuple(stage.name for stage in stages if stage.kind == "evaluate")
    return (*stages, Stage(name="table", kind="table", minutes=0.2, needs=measured))


def _of_model(plan: Plan, model: Model) -> Iterator[Stage]:
    minutes = plan.sizes[model.size].minutes
    kind: Kind
    if model.seed is None:
        kind, estimated = "sft", minutes.sft[model.variant]
        needs: tuple[str, ...] = ("data", f"base-{model.size}")
    else:
        kind, estimated = "gcpo", minutes.gcpo[model.credit]
        needs = (Model(model.size, model.variant).stage,)
    size = model.size
    yield Stage(name=model.stage, kind=kind, minutes=estimated, needs=needs, size=size, model=model)
    yield Stage(
        name=model.evaluation, kind="evaluate", minutes=minutes.evaluate, needs=(model.stage,),
        size=size, model=model,
    )  # fmt: skip


def without_idle(stages: Sequence[Stage], is_done: Callable[[str], bool]) -> tuple[Stage, ...]:
    """Without data and bases from which nothing goes on that is left to train or to measure."""
    by_name = {stage.name: stage for stage in stages}
    used = set[str]()
    waiting = [stage for stage in stages if stage.model is not None and not is_done(stage.name)]
    while waiting:
        needed = waiting.pop().needs
        waiting += [by_name[name] for name in needed if name not in used]
        used.update(needed)
    return tuple(stage for stage in stages if stage.kind not in ("data", "base") or stage.name in used)


def chosen(stages: Sequence[Stage], names: Sequence[str] = (), size: Size | None = None) -> tuple[Stage, ...]:
    """The stages of those names, or all; with `size` without those of another, and without the table, which
    needs all, unless it is named. Raises SettingsError."""
    known = {stage.name for stage in stages}
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"no stage {', '.join(unknown)}; the stages are {', '.join(sorted(known))}")
    return tuple(
        stage
        for stage in stages
        if (stage.name in names if names else stage.kind != "table" or size is None)
        and (size is None or stage.size in (None, size))
    )
