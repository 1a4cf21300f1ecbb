"""Measures of a verifier as pure functions: shares with intervals, verdict tables, pairwise accuracy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from edit_rrm.intervals import Share, share
from edit_rrm.principles import Category


@dataclass(frozen=True)
class JudgedVerdict:
    """One verdict beside the truth; `written` is None when the trace could not be parsed."""

    category: Category
    gold: bool
    written: bool | None

    @property
    def right(self) -> bool:
        """An unparsed trace's verdicts are wrong."""
        return self.written is self.gold


def verdict_shares(verdicts: Sequence[JudgedVerdict]) -> dict[str, Share]:
    """Accuracy overall, and by category on the verdicts whose truth is met and not met."""
    shares = {"all": share(v.right for v in verdicts)}
    for category in Category:
        for gold, name in ((True, "met"), (False, "not met")):
            shares[f"{category.value}, {name}"] = share(
                v.right for v in verdicts if v.category is category and v.gold is gold
            )
    return shares


def precision_recall(verdicts: Sequence[JudgedVerdict]) -> dict[str, Share]:
    """Precision and recall of both verdicts, by category.

    An unparsed trace's verdicts were not written: they lower recall and leave precision as it is.
    """
    shares = {}
    for category in Category:
        here = [v for v in verdicts if v.category is category]
        for verdict, name in ((True, "met"), (False, "not met")):
            written = [v for v in here if v.written is verdict]
            gold = [v for v in here if v.gold is verdict]
            shares[f"{category.value}, precision of {name}"] = share(v.right for v in written)
            shares[f"{category.value}, recall of {name}"] = share(v.right for v in gold)
    return shares


ScorePair = tuple[float | None, float | None]
"""The scores of the preferred and of the other candidate; None where there is none."""


@dataclass(frozen=True)
class PairOutcome:
    """Pairwise accuracy with the share of ties, which count as wrong."""

    accuracy: Share
    ties: Share

    def as_dict(self) -> dict[str, object]:
        """JSON form."""
        return {"accuracy": self.accuracy.as_dict(), "ties": self.ties.as_dict()}


def pair_outcome(pairs: Iterable[ScorePair]) -> PairOutcome:
    """Is the preferred one scored higher? A tie is wrong, and so is a pair with an unscored candidate."""
    right, ties = [], []
    for preferred, other in pairs:
        scored = preferred is not None and other is not None
        right.append(preferred is not None and other is not None and preferred > other)
        ties.append(scored and preferred == other)
    return PairOutcome(share(right), share(ties))


def score_pairs(group: Sequence[tuple[float | None, float]], same_zone: float) -> list[ScorePair]:
    """The pairs of one edit's (score or None, gold utility), the one of higher utility first.

    Pairs whose utilities differ by less than `same_zone` are left out.
    """
    return [
        (one[0], other[0]) if one[1] > other[1] else (other[0], one[0])
        for one, other in combinations(group, 2)
        if abs(one[1] - other[1]) >= same_zone
    ]


def pairwise(groups: Sequence[Sequence[tuple[float | None, float]]], same_zone: float) -> PairOutcome:
    """Does the score order candidates as the utility does? `groups` holds one list an edit."""
    return pair_outcome(pair for group in groups for pair in score_pairs(group, same_zone))
