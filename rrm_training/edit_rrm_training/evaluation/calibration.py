"""Whether probabilities mean what they say, and whether scores rank as utility does. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """The verdicts whose probability of "met" lies in [low, high): how sure on the mean, how often met."""

    low: float
    high: float
    count: int
    mean_probability: float
    share_met: float


def reliability(probabilities: Sequence[float], met: Sequence[bool]) -> list[ReliabilityBin]:
    """Ten bins of equal width, the last with 1 in it; a bin without verdicts is left out."""
    filled: dict[int, list[tuple[float, bool]]] = {}
    for probability, outcome in zip(probabilities, met, strict=True):
        filled.setdefault(min(BINS - 1, int(probability * BINS)), []).append((probability, outcome))
    return [
        ReliabilityBin(
            number / BINS,
            (number + 1) / BINS,
            len(pairs),
            sum(p for p, _ in pairs) / len(pairs),
            sum(outcome for _, outcome in pairs) / len(pairs),
        )
        for number, pairs in sorted(filled.items())
    ]


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """ECE = Σ n_b / N · |share met − mean probability| over the bins (Naeini et al., 2015); NaN for none."""
    total = sum(b.count for b in bins)
    if not total:
        return math.nan
    return sum(b.count * abs(b.share_met - b.mean_probability) for b in bins) / total


def average_ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's ρ: the correlation of the ranks; NaN for fewer than two values or when all are equal."""
    a, b = average_ranks(one), average_ranks(other)
    mean = (len(a) + 1) / 2
    covariance = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    spread = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return covariance / spread if spread else math.nan
