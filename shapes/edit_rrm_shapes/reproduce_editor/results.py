"""The figures of the claim as results.json holds them, and what came out. Pure but for that file."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edit_rrm.intervals import Share, share
from edit_rrm.whole_files import write_whole
from edit_rrm_shapes.reproduce_editor.measuring import Measured
from edit_rrm_shapes.reproduce_editor.plan import EditPlan, Reward, Run, runs_of
from edit_rrm_shapes.reproduce_editor.statistics import Gain, denied, fooled, gain, mean_of
from edit_rrm_shapes.staged.verdicts import Verdict, verdict, verdict_on_trainings

FILE = "results.json"
CATEGORIES = ("follow", "keep", "quality")
WANTED_GAIN = 0.15
NAMES: dict[Reward, str] = {"gcpo": "GCPO", "sft": "SFT"}

Curves = Mapping[Run, Sequence[tuple[int, Sequence[Measured]]]]
"""What was measured after how many updates."""


class Found(BaseModel):
    """A gain with its 95 % interval, held against what has to come out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float
    verdict: Verdict

    def __str__(self) -> str:
        return str(Gain(self.value, self.low, self.high))


class Point(BaseModel):
    """A run after so many updates, on all held-out edits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    update: int
    edits: int
    success: float
    utility: float
    """The oracle's mean, 0 to 10."""
    reward: float
    unscored: int
    fooled: dict[str, Share]
    """By the category of the principles."""
    denied: dict[str, Share]
    success_of: dict[str, Share]
    """By the category of the edits."""
    fooled_about_keep: dict[str, Share] | None = None
    """By the category of the edits; None where it was not kept."""

    @property
    def successes(self) -> Share:
        """Of all edits."""
        return Share(sum(one.hits for one in self.success_of.values()), self.edits)

    def not_met(self, category: str) -> Share:
        """Of the principles of a category that both judged, those the oracle finds not met."""
        return Share(self.fooled[category].total, self.fooled[category].total + self.denied[category].total)


class Results(BaseModel):
    """`results.json`. A claim is None while a run it needs is not measured to its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claims: dict[str, Found | None]
    runs: dict[str, tuple[Point, ...]]

    def of(self, run: Run) -> tuple[Point, ...]:
        """The points of a run; none of one that is not measured."""
        return self.runs.get(str(run), ())


def results_of(plan: EditPlan, curves: Curves) -> Results:
    """The figures of what is measured."""
    return Results(
        claims=_claims(plan, curves),
        runs={str(run): tuple(_point(*point) for point in points) for run, points in curves.items()},
    )


def read_results(folder: Path) -> Results:
    """What `write_results_file` wrote. Raises FileNotFoundError, pydantic's ValidationError."""
    return Results.model_validate(json.loads((folder / FILE).read_text(encoding="utf-8")))


def write_results_file(folder: Path, results: Results) -> None:
    """The file appears when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / FILE, json.dumps(results.model_dump(), indent=2) + "\n")


def _point(update: int, rows: Sequence[Measured]) -> Point:
    of_category = {
        name: [one for one in rows if one.category == name] for name in sorted({one.category for one in rows})
    }
    return Point(
        update=update, edits=len(rows),
        success=share(one.success for one in rows).value,
        utility=mean_of(one.utility for one in rows),
        reward=mean_of(one.reward for one in rows),
        unscored=sum(one.reward is None for one in rows),
        fooled={name: fooled(rows, name) for name in CATEGORIES},
        denied={name: denied(rows, name) for name in CATEGORIES},
        success_of={name: share(one.success for one in some) for name, some in of_category.items()},
        fooled_about_keep={name: fooled(some, "keep") for name, some in of_category.items()},
    )  # fmt: skip


def _claims(plan: EditPlan, curves: Curves) -> dict[str, Found | None]:
    """What has to come out."""
    ended = {
        run: points for run, points in curves.items() if points[0][0] == 0 and points[-1][0] == plan.updates
    }

    def successes(reward: Reward, end: int) -> list[list[float]]:
        """[runs][edits] before (0) or after (-1); none while a run is not measured to its end."""
        runs = [run for run in runs_of(plan) if run.reward == reward]
        if any(run not in ended for run in runs):
            return []
        return [[float(one.success) for one in ended[run][end][1]] for run in runs]

    claims: dict[str, Found | None] = {}
    for reward in plan.rewards:
        text = f"{NAMES[reward]}: success after training − before, at least {WANTED_GAIN:.2f}"
        claims[text] = _found(
            successes(reward, 0), successes(reward, -1), partial(verdict, at_least=WANTED_GAIN)
        )
    if len(plan.rewards) == 2:
        text = "success after GCPO's reward − after SFT's, at least 0"
        claims[text] = _found(successes("sft", -1), successes("gcpo", -1), verdict_on_trainings)
    return claims


def _found(
    before: Sequence[Sequence[float]],
    after: Sequence[Sequence[float]],
    judge: Callable[[float, float], Verdict],
) -> Found | None:
    if not before or not after:
        return None
    one = gain(before, after)
    return Found(value=one.value, low=one.low, high=one.high, verdict=judge(one.low, one.high))
