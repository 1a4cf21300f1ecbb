"""Deterministic sampling through a policy: the probability-flow ODE, as the editor is used after training."""

from collections.abc import Sequence
from itertools import pairwise

import torch

from edit_grpo.policies.policy import Condition, EditPolicy
from edit_grpo.rollout.rollout import sigma_rows
from edit_grpo.rollout.sde import ode_step


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is Any here
def sample_ode(policy: EditPolicy, condition: Condition, noise: torch.Tensor, steps: int) -> torch.Tensor:
    """x_0 [batch, ...] from x_1 in Euler steps along the policy's own schedule."""
    latents = noise
    for sigma, following in pairwise(policy.sigmas(steps, condition)):
        velocity = policy.velocity(latents, sigma_rows(sigma, latents), condition)
        latents = ode_step(latents, velocity, sigma, following).mean.to(noise.dtype)
    return latents


def noise_of_rows(policy: EditPolicy, condition: Condition, seeds: Sequence[int]) -> torch.Tensor:
    """x_1 [batch, ...], each row from its own seed, so that a row does not depend on its neighbours."""
    rows = [
        policy.noise(condition.select(slice(row, row + 1)), torch.Generator().manual_seed(seed))
        for row, seed in enumerate(seeds)
    ]
    return torch.cat(rows)
