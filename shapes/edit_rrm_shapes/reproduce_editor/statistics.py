"""The figures of the claim: shares with intervals, paired gains, how often a reward model is fooled. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edit_rrm.intervals import Cluster, Share, mean_interval, share
from edit_rrm_shapes.reproduce_editor.measuring import Measured


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
    interval = mean_interval([Cluster(1, difference) for difference in differences])
    low, high = (-math.inf, math.inf) if interval is None else interval
    return Gain(statistics.fmean(differences), low, high)


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
