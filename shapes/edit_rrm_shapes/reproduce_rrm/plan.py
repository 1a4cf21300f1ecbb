"""Every number of the reproduction, in one place, each with its reason. It knows no path and runs nothing.

What all stages share: one core, and bfloat16 over weights in float32. A variant differs from another of its
size in its rows alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from edit_rrm_shapes.teachers.habits import TEACHERS, VERIFIER, Habits
from edit_rrm_shapes.tiny_rrm import recipe
from edit_rrm_shapes.tiny_rrm.base import BaseStages
from edit_rrm_shapes.tiny_rrm.model import Size
from edit_rrm_shapes.tiny_rrm.training import Stage as TrainingStage
from edit_rrm_training.runs.settings import Credit

Variant = Literal["t", "v", "tv", "scorer"]
VARIANTS: Mapping[Variant, str] = {"t": "T", "v": "V", "tv": "T+V", "scorer": "scorer"}
"""The trained variants and what the paper calls them."""
CREDITS: Mapping[Credit, str] = {
    "trace": "GCPO (the paper's: credit=trace)",
    "all_scores": "GCPO, all scores (ours)",
}
"""What the table calls T+V after GCPO."""


@dataclass(frozen=True)
class DataPlan:
    """Edits and worlds. Training worlds lie below 1000, validation from 1000, test from 2000."""

    world: int = 11
    edits: int = 10_000
    """40,000 quadruples and 10,000 decompositions: more than SFT draws, so no row is seen twice."""
    pairs_world: int = 12
    pairs_edits: int = 3_000
    """About 14,000 pairs with a preference, none of them in SFT, of which screening keeps a third: more than
    GCPO has time to draw."""
    pairs_within: float = 3.0
    """Screening: the verifier's two scores differ by less. A model that sees perfectly and scores as the T+V
    rows do has no gradient on 60 % of all pairs with N = 8 (research/gcpo_headroom.py)."""
    validation_world: int = 1000
    validation_edits: int = 90
    """About 420 pairs; a measurement during GCPO takes three minutes of M."""
    test_world: int = 2000
    test_edits: int = 450
    """About 2,150 pairs: an interval of ±1.5 points at 0.85. Looked at three times before the table, with
    the plan changed after each (docs/notes/training-the-rrm.md, What the test world was used for)."""
    candidates: int = 4
    teachers: Mapping[str, Habits] = field(default_factory=lambda: {**TEACHERS, "verifier": VERIFIER})
    """Who wrote the rows. Not chosen here: it keeps rows of other habits out of a run."""


@dataclass(frozen=True)
class SftPlan:
    """SFT of every variant of one size: the same optimiser, steps and order of rows."""

    steps: int
    batch: int = 16
    lr: float = 7e-4
    """The tiny recipe's, which taught the bundled model; with Muon (docs/notes/the-tiny-model.md)."""
    warmup_steps: int = 50
    weight_decay: float = 0.05
    """As there. The rate falls to 0 at the last step: there is no polish stage to do it."""


@dataclass(frozen=True)
class GcpoPlan:
    """GCPO of one size (docs/notes/training-the-rrm.md)."""

    steps: int
    seeds: tuple[int, ...]
    traces: int = 2
    """N. For the same number of traces more pairs teach more (research/gcpo_without_eyes.py), and with
    every score weighed, traces of an image have little left to differ in."""
    pairs_per_step: int = 16
    credit: Credit = "all_scores"
    """A drawn score says little of what a pair teaches, and the other tokens nothing but noise."""
    kl: float = 0.1
    """Of the evidence: without, what scores learned leaked into it, and traces broke."""
    lora_rank: int = 16
    """Adapters, scaled by 2, on the language model's projections: all else stays as SFT left it."""
    lr: float = 1e-3
    """The adapters'. On the same pairs it earned more than full training at 1e-4 within 30 steps; 3e-3 broke
    traces (docs/notes/training-the-rrm.md)."""
    lr_schedule: Literal["constant", "linear"] = "linear"
    """To 0 at the last step: at a constant rate what was gained in 150 steps was lost in 50 more."""
    temperature: float = 1.0
    """The teachers' scores err by 0.6 to 1.2 points, so the SFT model's scores vary enough at 1."""
    batch: int = 16
    warmup_steps: int = 10
    eval_every: int = 50


@dataclass(frozen=True)
class Minutes:
    """Estimated minutes of the stages of one size on one core with bfloat16, for --list; stages write what
    they took. Without bfloat16 SFT of M took three times as long."""

    base: float
    sft: Mapping[Variant, float]
    gcpo: Mapping[Credit, float]
    evaluate: float


@dataclass(frozen=True)
class SizePlan:
    """One model size."""

    sft: SftPlan
    gcpo: tuple[GcpoPlan, ...]
    """Each with another credit."""
    minutes: Minutes

    def gcpo_of(self, credit: Credit) -> GcpoPlan:
        """The one with that credit. Raises KeyError."""
        return {gcpo.credit: gcpo for gcpo in self.gcpo}[credit]


@dataclass(frozen=True)
class Plan:
    """The whole reproduction."""

    sizes: Mapping[Size, SizePlan]
    data: DataPlan = DataPlan()
    base: BaseStages = field(default_factory=lambda: BaseStages(base=replace(recipe.BASE, steps=1500)))
    """Its last stage five times as long as the tiny recipe's: what is seen there once serves every variant;
    after 300 steps of it M did not learn to see within the 1,000 steps of SFT
    (docs/notes/training-the-rrm.md)."""
    max_trace_tokens: int = 320
    """The longest gold trace of 10 principles has about 260 tokens."""
    data_minutes: float = 6.0
    compiled: bool = True
    """Whether layers are compiled: a minute a stage first, then faster steps."""


PAPER = GcpoPlan(steps=200, seeds=(0,), traces=4, pairs_per_step=8, credit="trace", kl=0.0)
"""The paper's own, as it was planned and measured before `all_scores` (docs/notes/training-the-rrm.md,
Adapters, and patience)."""

FULL = Plan(
    sizes={
        "m": SizePlan(
            SftPlan(steps=1000),
            (PAPER, GcpoPlan(steps=100, seeds=(0, 1, 2))),
            Minutes(
                base=30, sft={"t": 28, "v": 24, "tv": 28, "scorer": 14},
                gcpo={"trace": 110, "all_scores": 22}, evaluate=2,
            ),
        ),
        "s": SizePlan(
            SftPlan(steps=1000),
            (GcpoPlan(steps=100, seeds=(0,)),),
            Minutes(
                base=25, sft={"t": 12, "v": 10, "tv": 12, "scorer": 7}, gcpo={"all_scores": 12}, evaluate=2
            ),
        ),
    }
)  # fmt: skip
"""Steps that bring the whole to about four hours on two cores with bfloat16. The same for both sizes but for
the paper's GCPO, so that M > S speaks of size."""


def _short(stage: TrainingStage) -> TrainingStage:
    return replace(stage, steps=2, batch_size=4, warmup_steps=1)


def _short_base(base: BaseStages) -> BaseStages:
    return BaseStages(_short(base.look), _short(base.read), _short(base.see), _short(base.base))


_QUICK_SIZE = SizePlan(
    SftPlan(steps=3, batch=4, warmup_steps=1),
    (GcpoPlan(steps=2, seeds=(0,), traces=2, pairs_per_step=1, batch=4, warmup_steps=0, eval_every=1),),
    Minutes(base=0.2, sft=dict.fromkeys(VARIANTS, 0.2), gcpo={"all_scores": 0.5}, evaluate=0.7),
)

QUICK = Plan(
    sizes={"s": _QUICK_SIZE},
    data=DataPlan(edits=6, pairs_edits=6, validation_edits=4, test_edits=6, candidates=2, pairs_within=11.0),
    base=BaseStages(
        *map(_short, (BaseStages().look, BaseStages().read, BaseStages().see, BaseStages().base))
    ),
    max_trace_tokens=16,
    data_minutes=0.1,
    compiled=False,
)
"""Goes through every stage in minutes; its numbers mean nothing."""
