"""From a score and verdicts to the reward in [0, 1] that a trainer consumes (docs/api.md, POST /v1/score)."""

from collections.abc import Sequence

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.errors import NoProbabilityError
from edit_rrm.principles import Category, Principle
from edit_rrm.traces import MAX_SCORE


def aggregate(
    name: AggregatorName,
    *,
    score: float,
    principles: Sequence[Principle],
    met: Sequence[bool],
    probabilities: Sequence[float | None],
) -> float:
    """The reward of one trace (or of the mean of several), in [0, 1].

    score          τ, 0 to 10; only `model_score` reads it
    met            one verdict per principle
    probabilities  of "met", 0 to 1, one per principle; None where unknown; only `soft` reads them

    - `model_score`    score / 10
    - `weighted_mean`  Σ weight·met / Σ weight
    - `soft`           Σ weight·probability / Σ weight
    - `gated`          weighted mean of the keep and quality verdicts (1 if there are none), times the plain
                       mean of the follow verdicts (1 if there are none): no weight opens the gate

    Raises NoProbabilityError when `soft` misses a probability, ValueError for an empty or uneven input, a
    score or probability out of range, or an unknown name.
    """
    if not len(principles) == len(met) == len(probabilities) > 0:
        raise ValueError(
            "expected one verdict and one probability for each of at least one principle, "
            f"got {len(principles)} principles, {len(met)} verdicts, {len(probabilities)} probabilities"
        )
    weights = [principle.weight for principle in principles]
    match name:
        case "model_score":
            if not 0.0 <= score <= MAX_SCORE:
                raise ValueError(f"score must lie in [0, {MAX_SCORE:g}], got {score}")
            return score / MAX_SCORE
        case "weighted_mean":
            return _weighted_mean(met, weights)
        case "soft":
            return _weighted_mean(_known(probabilities, principles), weights)
        case "gated":
            return _gated(principles, met)
    raise ValueError(f"unknown aggregator {name!r}")


def category_means(principles: Sequence[Principle], met: Sequence[bool]) -> dict[Category, float]:
    """The plain mean verdict of each category that has a principle, in the order of `Category`."""
    means = {}
    for category in Category:
        verdicts = [m for p, m in zip(principles, met, strict=True) if p.category is category]
        if verdicts:
            means[category] = sum(verdicts) / len(verdicts)
    return means


def majority(votes: Sequence[bool]) -> bool:
    """Whether more than half of the votes say met; a tie is not met. Raises ValueError for no votes."""
    if not votes:
        raise ValueError("a majority needs at least one vote")
    return 2 * sum(votes) > len(votes)


def _gated(principles: Sequence[Principle], met: Sequence[bool]) -> float:
    rest = [(m, p.weight) for p, m in zip(principles, met, strict=True) if p.category is not Category.FOLLOW]
    base = _weighted_mean(*zip(*rest, strict=True)) if rest else 1.0
    return base * category_means(principles, met).get(Category.FOLLOW, 1.0)


def _known(probabilities: Sequence[float | None], principles: Sequence[Principle]) -> list[float]:
    known = []
    for probability, principle in zip(probabilities, principles, strict=True):
        if probability is None:
            raise NoProbabilityError(f"'soft' needs a probability for principle {principle.id!r}")
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"probability must lie in [0, 1], got {probability} for {principle.id!r}")
        known.append(probability)
    return known


def _weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(value * weight for value, weight in zip(values, weights, strict=True))
    return min(1.0, total / sum(weights))  # rounding alone could pass 1
