"""95 % intervals of means and shares whose rows come in groups. Pure.

The candidates of one edit share source and instruction, and the verdicts of one candidate share a trace:
intervals that take them for independent are too narrow. The groups here are the edits.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edit_rrm_client.bulk.statistics import Z_95, wilson_interval

Interval = tuple[float, float]


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


def mean_interval(clusters: Iterable[Cluster], low: float, high: float) -> Interval | None:
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
    return (max(low, mean - half), min(high, mean + half))


def share_interval(clusters: Iterable[Cluster]) -> Interval | None:
    """Wilson's interval of a share; `total` counts a group's hits. None when there are no rows.

    The sample size is the effective one: rows divided by how much larger the variance between groups is
    than that of independent rows, at most the rows. Where no row differs from another that ratio is
    unknown, and the groups are counted instead.
    """
    listed = [cluster for cluster in clusters if cluster.count]
    share = mean_of(listed)
    if share is None:
        return None
    rows = sum(cluster.count for cluster in listed)
    if share in (0.0, 1.0) or len(listed) < 2:
        return wilson(share, len(listed))
    independent = share * (1 - share) / (rows - 1)
    variance = _variance(listed, share)
    return wilson(share, rows if variance <= independent else rows * independent / variance)


def wilson(share: float, size: float) -> Interval:
    """Wilson's score interval of `share` in a sample of `size`, which need not be whole."""
    interval = wilson_interval(share * size, size)
    return (interval.low, interval.high)


def _variance(clusters: list[Cluster], mean: float) -> float:
    """The variance of the mean as the groups show it."""
    groups, rows = len(clusters), sum(cluster.count for cluster in clusters)
    spread = sum((cluster.total - mean * cluster.count) ** 2 for cluster in clusters)
    return groups / (groups - 1) * spread / rows**2
