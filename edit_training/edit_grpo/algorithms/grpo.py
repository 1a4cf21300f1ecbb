"""GRPO's arithmetic: group advantages and the clipped surrogate. Pure functions.

Departures from the paper (A = (r − mean) / (std + ε) over the G candidates of a group): a candidate that
could not be scored is left out of its group's mean and std and gets no gradient, and a group whose
rewards are all but equal teaches nothing and is skipped, since dividing by ε would blow noise up.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class GroupAdvantages:
    """What a group teaches. `advantages` are 0 where `usable` is false; `skipped` says why nothing is."""

    advantages: torch.Tensor  # [candidates] float32
    usable: torch.Tensor  # [candidates] bool
    mean: float
    std: float
    skipped: str | None
    """None, "failures" (fewer than two rewards) or "zero variance"."""


def group_advantages(
    rewards: list[float | None], *, std_floor: float, clip: float | None = None
) -> GroupAdvantages:
    """Advantages of one group; None stands for a candidate without a reward.

    A_i = (r_i − mean) / std with the population std of the group's rewards; a group whose std is below
    `std_floor` is skipped. `clip` bounds |A_i|.
    """
    count = len(rewards)
    scored = torch.tensor([reward is not None for reward in rewards], dtype=torch.bool)
    values = torch.tensor([reward for reward in rewards if reward is not None], dtype=torch.float64)
    nothing = torch.zeros(count), torch.zeros(count, dtype=torch.bool)
    if len(values) < 2:
        return GroupAdvantages(
            *nothing, float(values.mean()) if len(values) else float("nan"), 0.0, "failures"
        )
    mean, std = float(values.mean()), float(values.std(correction=0))
    if std < std_floor:
        return GroupAdvantages(*nothing, mean, std, "zero variance")
    found = (values - mean) / std
    if clip is not None:
        found = found.clamp(-clip, clip)
    advantages = torch.zeros(count, dtype=torch.float32)
    advantages[scored] = found.float()
    return GroupAdvantages(advantages, scored, mean, std, None)


@dataclass(frozen=True)
class Surrogate:
    """A step's loss with what is watched about it."""

    loss: torch.Tensor  # scalar
    ratio: torch.Tensor  # [batch], detached
    clipped_share: float


def clipped_surrogate(
    logprob: torch.Tensor,  # [batch], with gradient
    old_logprob: torch.Tensor,  # [batch]
    advantages: torch.Tensor,  # [batch]
    clip_range: float,
) -> Surrogate:
    """−mean(min(ρ A, clip(ρ, 1 − ε, 1 + ε) A)), ρ = exp(logprob − old_logprob) (PPO, arXiv 1707.06347)."""
    ratio = torch.exp(logprob - old_logprob)
    bounded = ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    gain = torch.minimum(ratio * advantages, bounded * advantages)
    clipped = (ratio * advantages > bounded * advantages).float().mean()
    return Surrogate(-gain.mean(), ratio.detach(), float(clipped))
