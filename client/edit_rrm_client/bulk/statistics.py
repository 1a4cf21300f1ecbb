"""Statistics over rewards, as pure functions: win rates, bootstrapped means, best-of-N."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edit_rrm.intervals import Interval, wilson_interval

_CHUNK_VALUES = 2**22  # bootstrap values held at once


@dataclass(frozen=True)
class WinRate:
    """How often B is better than A on the same edits; `rate` is (wins + ties / 2) / n."""

    wins: int
    ties: int
    losses: int
    rate: float
    interval: Interval

    @property
    def n(self) -> int:
        return self.wins + self.ties + self.losses


@dataclass(frozen=True)
class Mean:
    """A mean with its bootstrap interval, over n values."""

    value: float
    interval: Interval
    n: int


def win_rate(differences: Sequence[float], tie: float = 1e-9) -> WinRate:
    """Of reward differences B − A; those no larger than `tie` are ties and count half.

    Raises ValueError for no differences.
    """
    wins = sum(difference > tie for difference in differences)
    losses = sum(difference < -tie for difference in differences)
    ties = len(differences) - wins - losses
    successes = wins + ties / 2
    interval = wilson_interval(successes, len(differences))
    return WinRate(wins, ties, losses, successes / len(differences), interval)


def bootstrap_mean(values: Sequence[float], *, seed: int = 0, resamples: int = 2000) -> Mean:
    """The mean and its 95 % percentile bootstrap interval; the same seed gives the same interval.

    Raises ValueError for no values.
    """
    if not values:
        raise ValueError("a mean needs at least one value")
    array = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_VALUES // len(array))
    means: list[float] = []
    while len(means) < resamples:
        rows = min(chunk, resamples - len(means))
        drawn = random.integers(0, len(array), size=(rows, len(array)))
        means.extend(array[drawn].mean(axis=1).tolist())
    low, high = np.quantile(means, [0.025, 0.975])
    return Mean(float(array.mean()), Interval(float(low), float(high)), len(array))


def expected_best(values: Sequence[float], n: int) -> float:
    """The mean of the largest over all subsets of n of the values: unbiased for the best of n draws.

    With values sorted upwards, the i-th (from 1) is the largest of C(i−1, n−1) of the C(m, n) subsets.
    Raises ValueError unless 1 <= n <= m.
    """
    if not 1 <= n <= len(values):
        raise ValueError(f"the best of {n} needs at least {n} values (and n at least 1), got {len(values)}")
    subsets = math.comb(len(values), n)
    return sum(value * (math.comb(place, n - 1) / subsets) for place, value in enumerate(sorted(values)))


def doubling(most: int) -> list[int]:
    """1, 2, 4, … up to `most`, which is always the last."""
    counts = [2**power for power in range(most.bit_length()) if 2**power < most]
    return [*counts, most]
