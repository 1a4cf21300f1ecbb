"""Accuracies of a judge on comparisons that people made. Pure.

A tie between the judge's values is wrong where people had a preference, and right where they had none.
A comparison without both values is left out of every accuracy and counted as failed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edit_rrm.intervals import Cluster, Interval, share_interval
from edit_rrm_client.bench.comparisons import Label


@dataclass(frozen=True)
class Judged:
    """A comparison with the judge's values of its two images; None where one could not be scored."""

    label: Label
    left: float | None
    right: float | None

    @property
    def difference(self) -> float | None:
        """Left minus right; None when either is missing."""
        return None if self.left is None or self.right is None else self.left - self.right


@dataclass(frozen=True)
class Accuracy:
    """`right` of `total`. `ties` are comparisons that people decided and the judge did not."""

    right: int
    total: int
    ties: int
    failed: int
    interval: Interval | None
    """95 %, Wilson's on the effective size: comparisons of one group depend on each other."""

    @property
    def share(self) -> float | None:
        """None when nothing could be judged."""
        return self.right / self.total if self.total else None


def is_right(vote: int, difference: float, margin: float = 0.0) -> bool:
    """Whether the judge sees it as people did; differences up to `margin` are ties."""
    if abs(difference) <= margin:
        return vote == 0
    return vote * difference > 0


def of_comparisons(judged: Iterable[Judged], margin: float = 0.0) -> Accuracy:
    """The share of single comparisons that are right."""
    clusters: dict[str, Cluster] = defaultdict(Cluster)
    ties = failed = 0
    for one in judged:
        if one.difference is None:
            failed += 1
            continue
        clusters[one.label.group].add(float(is_right(one.label.vote, one.difference, margin)))
        ties += one.label.vote != 0 and abs(one.difference) <= margin
    return _accuracy(clusters, ties, failed)


def of_groups(judged: Iterable[Judged], margin: float = 0.0) -> Accuracy:
    """The share of groups all of whose comparisons are right.

    A group with a failed or a missing comparison is left out and counted as failed. `ties` are groups
    with a tie in them.
    """
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        groups[one.label.group].append(one)
    clusters: dict[str, Cluster] = defaultdict(Cluster)
    ties = failed = 0
    for name, members in groups.items():
        k = members[0].label.k
        differences = [one.difference for one in members if one.difference is not None]
        if len(differences) < k * (k - 1) // 2 or len(differences) < len(members):
            failed += 1
            continue
        votes = [one.label.vote for one in members]
        pairs = list(zip(votes, differences, strict=True))
        clusters[name].add(float(all(is_right(vote, difference, margin) for vote, difference in pairs)))
        ties += any(vote != 0 and abs(difference) <= margin for vote, difference in pairs)
    return _accuracy(clusters, ties, failed)


def fitted_margin(judged: Sequence[Judged]) -> float:
    """The margin with the highest accuracy on these very comparisons, the smallest of equals.

    So benchmarks with human ties are published (tie calibration, arXiv 2305.14324): it looks at the
    answers, and is no property of the judge alone.
    """
    known = [(one.label.vote, one.difference) for one in judged if one.difference is not None]
    margins = sorted({0.0, *(abs(difference) for _, difference in known)})
    return max(margins, key=lambda margin: sum(is_right(vote, diff, margin) for vote, diff in known))


def _accuracy(clusters: dict[str, Cluster], ties: int, failed: int) -> Accuracy:
    return Accuracy(
        right=round(sum(cluster.total for cluster in clusters.values())),
        total=sum(cluster.count for cluster in clusters.values()),
        ties=ties,
        failed=failed,
        interval=share_interval(clusters.values()),
    )
