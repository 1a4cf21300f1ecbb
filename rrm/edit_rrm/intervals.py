"""95 % intervals of shares, means and differences, also of rows that come in groups. Pure.

The candidates of one edit share source and instruction, and the verdicts of one candidate share a trace:
intervals that take them for independent are too narrow. The groups here are the edits.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

Z_95 = 1.959963984540054  # two-sided 95 % of the standard normal distribution


class Interval(NamedTuple):
    """A 95 % interval, both ends included."""

    low: float
    high: float


def wilson_interval(successes: float, n: float) -> Interval:
    """The score interval of a share (E. B. Wilson, 1927), which behaves near 0 and 1 and for small samples.

    `successes` may hold halves for ties, and `n` may be an effective sample size: both need not be whole.
    Raises ValueError unless 0 <= successes <= n and n > 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"expected 0 to n successes of at least 1, got {successes} of {n}")
    share, z2 = successes / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


@dataclass(frozen=True)
class Share:
    """`hits` of `total`, with Wilson's interval."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share, NaN when there is nothing to share."""
        return self.hits / self.total if self.total else math.nan

    @property
    def interval(self) -> Interval:
        """Wilson's; NaNs when there is nothing to share."""
        return wilson_interval(self.hits, self.total) if self.total else Interval(math.nan, math.nan)

    def as_dict(self) -> dict[str, float | int | list[float] | None]:
        """JSON form, rounded to four decimals; nulls for a share of nothing, since JSON has no NaN."""
        if not self.total:
            return {"value": None, "n": 0, "interval95": None}
        low, high = self.interval
        return {
            "value": round(self.value, 4), "n": self.total, "interval95": [round(low, 4), round(high, 4)],
        }  # fmt: skip

    @property
    def short(self) -> str:
        """Value and interval, for a table that says elsewhere of how many."""
        if not self.total:
            return "–"
        low, high = self.interval
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}]"

    def __str__(self) -> str:
        return f"{self.short} n={self.total}"


def share(outcomes: Iterable[bool]) -> Share:
    """The share of true outcomes."""
    listed = list(outcomes)
    return Share(sum(listed), len(listed))


@dataclass
class Cluster:
    """The rows of one group: how many, and the sum of their values."""

    count: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        """Takes one row's value."""
        self.count += 1
        self.total += value


def mean_of(clusters: Iterable[Cluster]) -> float | None:
    """The mean over all rows, None when there are none."""
    listed = list(clusters)
    rows = sum(cluster.count for cluster in listed)
    return sum(cluster.total for cluster in listed) / rows if rows else None


def mean_interval(
    clusters: Iterable[Cluster], low: float = -math.inf, high: float = math.inf
) -> Interval | None:
    """The interval of the mean, within [low, high]; None for fewer than two groups.

    mean ± z √v with v = m/(m−1) · Σ (total − mean · count)² / rows², the sum over the m groups: the
    linearised variance of a ratio of sums (W. G. Cochran, Sampling Techniques, 1977, section 9A.4).
    With one row a group it is the usual standard error.
    """
    listed = [cluster for cluster in clusters if cluster.count]
    mean = mean_of(listed)
    if mean is None or len(listed) < 2:
        return None
    half = Z_95 * math.sqrt(_variance(listed, mean))
    return Interval(max(low, mean - half), min(high, mean + half))


def share_interval(clusters: Iterable[Cluster]) -> Interval | None:
    """Wilson's interval of a share; `total` counts a group's hits. None when there are no rows.

    The sample size is the effective one: rows divided by how much larger the variance between groups is
    than that of independent rows, at most the rows. Where no row differs from another that ratio is
    unknown, and the groups are counted instead.
    """
    listed = [cluster for cluster in clusters if cluster.count]
    mean = mean_of(listed)
    if mean is None:
        return None
    rows = sum(cluster.count for cluster in listed)
    if mean in (0.0, 1.0) or len(listed) < 2:
        return wilson(mean, len(listed))
    independent = mean * (1 - mean) / (rows - 1)
    variance = _variance(listed, mean)
    return wilson(mean, rows if variance <= independent else rows * independent / variance)


def wilson(value: float, size: float) -> Interval:
    """Wilson's interval of a share `value` in a sample of `size`, which need not be whole."""
    return wilson_interval(value * size, size)


def _variance(clusters: list[Cluster], mean: float) -> float:
    """The variance of the mean as the groups show it."""
    groups, rows = len(clusters), sum(cluster.count for cluster in clusters)
    spread = sum((cluster.total - mean * cluster.count) ** 2 for cluster in clusters)
    return groups / (groups - 1) * spread / rows**2
