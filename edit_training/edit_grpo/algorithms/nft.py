"""DiffusionNFT (arXiv 2509.16117): reinforcement on the forward process. Pure functions over tensors.

Candidates come from an old policy by any solver; nothing of their trajectories is kept. For x_0 drawn by
it, x_σ = (1 − σ) x_0 + σ ε and an optimality r in [0, 1], the loss is
    r ‖v⁺ − (ε − x_0)‖² + (1 − r) ‖v⁻ − (ε − x_0)‖²,   v⁺ = (1 − β) v_old + β v,   v⁻ = (1 + β) v_old − β v.
As in the published code, distances are taken between x_0 and the x_0 that a velocity predicts, each divided
by its own mean absolute error without gradient (the paper's adaptive weighting, in place of a weight w(σ)).
"""

from dataclasses import dataclass

import torch

from edit_grpo.rollout.sde import level_of


def optimality(advantages: torch.Tensor, clip: float) -> torch.Tensor:  # [batch] in [0, 1]
    """r = 1/2 + A / 2c with |A| bounded by c: 1/2 for a candidate at its group's mean."""
    return 0.5 + advantages.clamp(-clip, clip) / (2.0 * clip)


def implicit_velocities(
    velocity: torch.Tensor,  # [batch, ...]
    old_velocity: torch.Tensor,  # [batch, ...]
    mix: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """v⁺ and v⁻: the old policy moved towards, and away from, the one that is trained."""
    moved = mix * (velocity.float() - old_velocity.float())
    return old_velocity.float() + moved, old_velocity.float() - moved


@dataclass(frozen=True)
class NftLoss:
    """The loss of each candidate, and its two branches."""

    loss: torch.Tensor  # [batch], with gradient
    positive: torch.Tensor  # [batch], detached
    negative: torch.Tensor  # [batch], detached


def nft_loss(
    velocity: torch.Tensor,  # [batch, ...], with gradient
    old_velocity: torch.Tensor,  # [batch, ...]
    noisy: torch.Tensor,  # [batch, ...]: x_σ
    latents: torch.Tensor,  # [batch, ...]: x_0
    sigma: torch.Tensor,  # [batch]
    r: torch.Tensor,  # [batch] in [0, 1]
    mix: float,
) -> NftLoss:
    """r L⁺ + (1 − r) L⁻, divided by β so that its gradient does not vanish with it."""
    positive, negative = (
        _x0_distance(each, noisy, latents, sigma) for each in implicit_velocities(velocity, old_velocity, mix)
    )
    return NftLoss((r * positive + (1.0 - r) * negative) / mix, positive.detach(), negative.detach())


def old_decay(rate: float, limit: float, update: int) -> float:
    """What the sampling policy keeps of itself after update number `update`, from 0: min(rate · n, limit)."""
    return min(rate * update, limit)


def _x0_distance(
    velocity: torch.Tensor, noisy: torch.Tensor, latents: torch.Tensor, sigma: torch.Tensor
) -> torch.Tensor:  # [batch]
    """Mean squared error of the predicted x_0 over its mean absolute error, the latter without gradient."""
    error = (noisy.float() - level_of(sigma, noisy) * velocity - latents.float()).flatten(1)
    scale = error.detach().abs().mean(dim=1).clamp(min=1e-5)
    return error.square().mean(dim=1) / scale
