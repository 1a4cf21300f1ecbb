"""Steps of a flow-matching sampler that have log-probabilities. Pure functions; no model, no scheduler.

Conventions, as in diffusers' flow-matching schedulers: x_σ = (1 − σ) x_0 + σ x_1 with data x_0 and noise
x_1, velocity v = x_1 − x_0, and σ falls from 1 to 0 along a trajectory. A stochastic step draws
x' ~ N(mean, std²); a deterministic one (std 0) is the Euler step of the probability-flow ODE.

Sources: Flow-GRPO (arXiv 2505.05470) for `flow_grpo_step`; Flow-CPS (arXiv 2509.05952) for `cps_step`.
Unlike Flow-CPS's published code, which drops the constants of the density, both give the Gaussian
log-probability, so that clip ranges mean the same for both.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch

Kind = Literal["flow_grpo", "cps"]


def level_of(sigma: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """σ [batch], shaped to be multiplied with x [batch, ...]."""
    return sigma.reshape(-1, *[1] * (x.ndim - 1))


def noised(
    data: torch.Tensor,  # [batch, ...]: x_0
    noise: torch.Tensor,  # [batch, ...]: x_1
    sigma: torch.Tensor,  # [batch]
) -> torch.Tensor:  # [batch, ...] float32
    """x_σ = (1 − σ) x_0 + σ x_1."""
    level = level_of(sigma, data)
    return (1.0 - level) * data.float() + level * noise.float()


@dataclass(frozen=True)
class Transition:
    """The Gaussian of one step: x' ~ N(mean, std²), with one std for all elements."""

    mean: torch.Tensor  # [batch, ...] float32
    std: float
    time: float = 1.0
    """−dt of a step of an SDE, whose variance is proportional to it; 1 for CPS, whose is not."""


def ode_step(
    x: torch.Tensor,  # [batch, ...]
    velocity: torch.Tensor,  # [batch, ...]
    sigma: float,
    sigma_next: float,
) -> Transition:
    """The Euler step: x + v (σ' − σ), without noise."""
    return Transition(x.float() + velocity.float() * (sigma_next - sigma), 0.0)


def flow_grpo_step(
    x: torch.Tensor,  # [batch, ...]
    velocity: torch.Tensor,  # [batch, ...]
    sigma: float,
    sigma_next: float,
    eta: float,
    *,
    sigma_max: float,
) -> Transition:
    """The Euler–Maruyama step of the SDE that has the ODE's marginals, with s = η √(σ / (1 − σ)).

    With dt = σ' − σ < 0: mean = x (1 + s² dt / 2σ) + v (1 + s² (1 − σ) / 2σ) dt, std = s √(−dt). Pure
    noise (σ = 1) would have s = ∞; there `sigma_max`, the trajectory's second σ, stands in for σ below the
    fraction line alone, as in Flow-GRPO's published code.
    """
    x, velocity = x.float(), velocity.float()
    dt = sigma_next - sigma
    s = eta * math.sqrt(sigma / (1.0 - min(sigma, sigma_max)))
    mean = x * (1.0 + s**2 * dt / (2.0 * sigma)) + velocity * (
        (1.0 + s**2 * (1.0 - sigma) / (2.0 * sigma)) * dt
    )
    return Transition(mean, s * math.sqrt(-dt), -dt)


def cps_step(
    x: torch.Tensor,  # [batch, ...]
    velocity: torch.Tensor,  # [batch, ...]
    sigma: float,
    sigma_next: float,
    eta: float,
) -> Transition:
    """The coefficients-preserving step: part of the predicted noise is drawn anew, and none is added.

    s = σ' sin(ηπ/2), x̂_0 = x − σ v, x̂_1 = x + (1 − σ) v, mean = (1 − σ') x̂_0 + √(σ'² − s²) x̂_1, std = s.
    """
    x, velocity = x.float(), velocity.float()
    s = sigma_next * math.sin(eta * math.pi / 2.0)
    data = x - sigma * velocity
    noise = x + (1.0 - sigma) * velocity
    return Transition((1.0 - sigma_next) * data + math.sqrt(sigma_next**2 - s**2) * noise, s)


def sde_step(
    kind: Kind,
    x: torch.Tensor,  # [batch, ...]
    velocity: torch.Tensor,  # [batch, ...]
    sigma: float,
    sigma_next: float,
    eta: float,
    *,
    sigma_max: float,
) -> Transition:
    """The stochastic step of that kind."""
    if kind == "cps":
        return cps_step(x, velocity, sigma, sigma_next, eta)
    return flow_grpo_step(x, velocity, sigma, sigma_next, eta, sigma_max=sigma_max)


def draw(transition: Transition, noise: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """mean + std · noise, rounded to `dtype`, in which the trajectory is stored.

    Rounding comes before any log-probability: what is stored is what was drawn, so the
    log-probability of a stored latent is the same when it is computed again.
    """
    return (transition.mean + transition.std * noise.float()).to(dtype)


def logprob(transition: Transition, drawn: torch.Tensor) -> torch.Tensor:  # [batch] float32
    """Gaussian log-density of `drawn` [batch, ...], the mean over all elements of a sample (Flow-GRPO)."""
    if transition.std <= 0.0:
        raise ValueError("a deterministic step has no density")
    standard = (drawn.float() - transition.mean) / transition.std
    each = -0.5 * standard**2 - math.log(transition.std) - 0.5 * math.log(2.0 * math.pi)
    return each.flatten(1).mean(dim=1)


def kl(transition: Transition, reference: Transition) -> torch.Tensor:  # [batch] float32
    """KL(policy ‖ reference) of one step, the mean over elements, times its `time`.

    That is (mean − mean_ref)² / 2 s², as in Flow-GRPO's published code, so that a published β means the same
    here: s is without √(−dt).
    """
    if transition.std <= 0.0 or transition.std != reference.std:
        raise ValueError("a step's KL needs one positive std for policy and reference")
    distance = (transition.mean - reference.mean) ** 2 * (transition.time / (2.0 * transition.std**2))
    return distance.flatten(1).mean(dim=1)
