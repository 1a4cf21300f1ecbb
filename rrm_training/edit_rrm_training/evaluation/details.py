"""What stands behind the headline: pairs by category, precision and recall, calibration, agreement, scaling.

Pure; from judged edits to a report that can be written as JSON and as Markdown.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edit_rrm.intervals import Share
from edit_rrm.principles import Category
from edit_rrm_training.evaluation.calibration import (
    ReliabilityBin,
    expected_calibration_error,
    reliability,
    spearman,
)
from edit_rrm_training.evaluation.evaluate import (
    JudgedEdit,
    judged_verdicts,
    scores_and_utilities,
    share_table,
)
from edit_rrm_training.evaluation.metrics import PairOutcome, pairwise, precision_recall

SAMPLE_COUNTS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Calibration:
    """Of the probabilities of "met"; `verdicts` without a probability (unparsed traces) are not in it."""

    error: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Details:
    """See the module. `calibration` is by category and "all", `scaling` by number of samples."""

    pairs: dict[str, PairOutcome]
    verdicts: dict[str, Share]
    calibration: dict[str, Calibration]
    spearman: float
    scaling: dict[int, PairOutcome]

    def as_dict(self) -> dict[str, Any]:
        """JSON form; what could not be measured is null."""
        return {
            "pairs_by_category": {name: value.as_dict() for name, value in self.pairs.items()},
            "verdicts": {name: value.as_dict() for name, value in self.verdicts.items()},
            "calibration": {
                name: {"ece": _plain(value.error), "bins": [asdict(b) for b in value.bins]}
                for name, value in self.calibration.items()
            },
            "spearman_of_score_with_utility": _plain(self.spearman),
            "pairs_by_samples": {str(count): value.as_dict() for count, value in self.scaling.items()},
        }

    def markdown(self) -> str:
        """Tables, those that have something in them."""
        errors = " · ".join(f"{name} {value.error:.3f}" for name, value in self.calibration.items())
        lines = [f"Spearman's ρ of score with gold utility: {self.spearman:.3f}"]
        if errors:
            lines.append(f"Calibration error (ECE) of verdict probabilities: {errors}")
        tables = [
            share_table("pairwise accuracy", {name: value.accuracy for name, value in self.pairs.items()})
        ]
        if self.verdicts:
            tables.append(share_table("verdicts", self.verdicts))
        if self.scaling:
            by_samples = {f"{count} samples": value.accuracy for count, value in self.scaling.items()}
            tables.append(share_table("pairwise accuracy", by_samples))
        return "\n\n".join([*lines, *tables])


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def details_of(judged: Sequence[JudgedEdit], *, verdicts: bool, same_zone: float) -> Details:
    """The details of judged edits; without `verdicts` those of a scorer. `same_zone` as in `measure`."""
    kinds = sorted({item.edit.category for item in judged})
    pairs = {
        kind: pairwise(
            [scores_and_utilities(i, i.opinions) for i in judged if i.edit.category == kind], same_zone
        )
        for kind in kinds
    }
    scored = [
        (score, utility)
        for item in judged
        for score, utility in scores_and_utilities(item, item.opinions)
        if score is not None
    ]
    drawn = max((len(opinion.scores) for item in judged for opinion in item.warm), default=0)
    scaling = {
        count: pairwise([scores_and_utilities(item, item.warm, count) for item in judged], same_zone)
        for count in SAMPLE_COUNTS
        if count <= drawn
    }
    return Details(
        pairs,
        precision_recall(judged_verdicts(judged)) if verdicts else {},
        _calibration(judged) if verdicts else {},
        spearman([score for score, _ in scored], [utility for _, utility in scored]),
        scaling,
    )


def _calibration(judged: Sequence[JudgedEdit]) -> dict[str, Calibration]:
    shown = [
        (principle.category, probability, gold)
        for item in judged
        for candidate, opinion in zip(item.edit.candidates, item.opinions, strict=True)
        if opinion.probabilities is not None
        for principle, gold, probability in zip(
            item.edit.principles, candidate.verdicts, opinion.probabilities, strict=True
        )
        if probability is not None
    ]
    found = {}
    for name, wanted in (("all", set(Category)), *((c.value, {c}) for c in Category)):
        here = [(probability, met) for category, probability, met in shown if category in wanted]
        bins = reliability([p for p, _ in here], [met for _, met in here])
        if bins:
            found[name] = Calibration(expected_calibration_error(bins), tuple(bins))
    return found
