"""From an answer of the reward service to one scalar a candidate, or None. Pure.

The arithmetic is the service's own (`edit_rrm.aggregators`), applied to the verdicts it returned with
weights scaled by category. A failed candidate is None, and so is one whose verdicts do not carry what a
shape needs; neither becomes a number.
"""

from collections.abc import Mapping

from edit_grpo.reward.settings import RewardSettings
from edit_rrm.aggregators import aggregate
from edit_rrm.errors import TraceError
from edit_rrm.guards import ceiling_of
from edit_rrm_client import CandidateFailed, CandidateScored, Category, Principle, ScoreAnswer


def shaped_rewards(answer: ScoreAnswer, settings: RewardSettings) -> list[float | None]:
    """One reward in [0, 1] a candidate, in order; None where there is none.

    Guards that decide count under every shape: a candidate that a guard decided without the model keeps the
    service's reward, and a guard that caps the service's reward caps the one formed here.
    """
    return [
        None if isinstance(result, CandidateFailed) else shaped_reward(result, answer.principles, settings)
        for result in answer.results
    ]


def shaped_reward(
    result: CandidateScored, principles: list[Principle], settings: RewardSettings
) -> float | None:
    """The reward of one scored candidate."""
    if settings.shape == "service" or not result.verdicts:
        return result.reward
    weighted = weighted_principles(principles, settings.category_weights)
    verdicts = {verdict.principle: verdict for verdict in result.verdicts}
    if not weighted or any(principle.id not in verdicts for principle in weighted):
        return None
    judged = [verdicts[principle.id] for principle in weighted]
    try:
        reward = aggregate(
            settings.shape,
            score=result.score,
            principles=weighted,
            met=[verdict.met for verdict in judged],
            probabilities=[verdict.probability for verdict in judged],
        )
    except TraceError:  # `soft` without a probability
        return None
    enforced = settings.guards not in ("report", "off")
    ceiling = ceiling_of(guard.name for guard in result.guards if enforced and guard.limits)
    return reward if ceiling is None else min(reward, ceiling)


def weighted_principles(
    principles: list[Principle], category_weights: Mapping[Category, float]
) -> list[Principle]:
    """The principles with their weights multiplied by their category's; those of weight 0 are left out."""
    return [
        principle.model_copy(update={"weight": principle.weight * factor})
        for principle in principles
        if (factor := category_weights.get(principle.category, 1.0)) > 0.0
    ]
