"""The figures of the claim: shares with intervals, paired gains, how often a reward model is fooled. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edit_rrm_client.bulk.statistics import Z_95, Interval, wilson_interval
from edit_rrm_shapes.reproduce_editor.measuring import Measured


@dataclass(frozen=True)
class Share:
    """`right` of `total`."""

    right: int
    total: int

    @property
    def value(self) -> float:
        """0 to 1; NaN of nothing."""
        return self.right / self.total if self.total else math.nan

    @property
    def interval(self) -> Interval | None:
        """Wilson's 95 % interval."""
        return wilson_interval(self.right, self.total) if self.total else None

    def __str__(self) -> str:
        interval = self.interval
        if interval is None:
            return "–"
        return f"{self.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def share(values: Iterable[bool]) -> Share:
    """Of the true ones."""
    listed = list(values)
    return Share(sum(listed), len(listed))


@dataclass(frozen=True)
class Gain:
    """A mean difference over edits, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def gain(before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]) -> Gain:
    """Mean of `after` minus mean of `before`; each is [runs][edits], the edits the same ones in one order.

    Runs are averaged within an edit, and edits are the units of the interval: mean ± 1.96 · s / √n.
    """
    if len({len(run) for run in (*before, *after)}) != 1:
        raise ValueError("the runs were not measured on the same edits")
    differences = [
        statistics.fmean(late) - statistics.fmean(early)
        for early, late in zip(zip(*before, strict=True), zip(*after, strict=True), strict=True)
    ]
    mean = statistics.fmean(differences)
    half = (
        Z_95 * statistics.stdev(differences) / math.sqrt(len(differences))
        if len(differences) > 1
        else math.inf
    )
    return Gain(mean, mean - half, mean + half)


def fooled(measured: Iterable[Measured], category: str) -> Share:
    """Of the principles of a category that the oracle finds not met, the share the reward model finds met."""
    return share(said for one in measured for true, said in _pairs(one, category) if not true)


def _pairs(one: Measured, category: str) -> list[tuple[bool, bool]]:
    """The oracle's and the reward model's word on each principle of the category, where there are both."""
    if one.model is None:
        return []
    return [
        (bool(true), bool(said))
        for name, true, said in zip(one.principles, one.oracle, one.model, strict=True)
        if name == category
    ]


def denied(measured: Iterable[Measured], category: str) -> Share:
    """Of the principles of a category that the oracle finds met, the share the reward model finds not met."""
    return share(not said for one in measured for true, said in _pairs(one, category) if true)


def mean_of(values: Iterable[float | None]) -> float:
    """Without what is None; NaN of nothing."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else math.nan
