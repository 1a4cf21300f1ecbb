"""Draws the candidates of one group: stochastic steps where a window says so, the ODE elsewhere.

Knows a policy and a plan, nothing of rewards. Every candidate has a generator of its own, seeded by what
it is (seed, update, group, candidate), so it is the same however many processes and rows a pass has.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from edit_grpo.policies.policy import Condition, EditPolicy
from edit_grpo.rollout.sde import Kind, Transition, draw, logprob, ode_step, sde_step


def seed_of(*parts: object) -> int:
    """63 bits that depend on all parts: the seed of one stream of noise."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generators_of(seed: int, update: int, group: int, candidates: int) -> list[torch.Generator]:
    """One generator a candidate, on the CPU: the same noise on any device."""
    return [
        torch.Generator().manual_seed(seed_of(seed, update, group, candidate))
        for candidate in range(candidates)
    ]


@dataclass(frozen=True)
class SamplingPlan:
    """How a trajectory runs. `stochastic` holds the indices of the steps that have a density."""

    steps: int
    micro_batch: int
    stochastic: range = range(0)
    kind: Kind = "flow_grpo"
    eta: float = 0.7


@dataclass(frozen=True)
class StochasticStep:
    """One stored step of all candidates of a group."""

    sigma: float
    sigma_next: float
    sigma_max: float
    before: torch.Tensor  # [candidates, ...] in the policy's latent dtype
    after: torch.Tensor  # [candidates, ...] likewise: what was drawn
    logprob: torch.Tensor  # [candidates] float32, under the policy that drew


@dataclass(frozen=True)
class Rollout:
    """A group as it was drawn."""

    condition: Condition  # one row: candidates share it
    latents: torch.Tensor  # [candidates, ...]: x_0
    sigmas: tuple[float, ...]
    steps: tuple[StochasticStep, ...]


def row_slices(count: int, micro_batch: int) -> Iterator[slice]:
    """The candidates of each forward pass; the same for rollout and update, so that on policy ρ = 1."""
    for start in range(0, count, micro_batch):
        yield slice(start, min(start + micro_batch, count))


def roll_out(
    policy: EditPolicy, condition: Condition, generators: Sequence[torch.Generator], plan: SamplingPlan
) -> Rollout:
    """Candidates of one edit, one for each generator. `condition` has one row."""
    sigmas = policy.sigmas(plan.steps, condition)
    with torch.no_grad():
        parts = [
            _trajectory(policy, condition, generators[rows], sigmas, plan)
            for rows in row_slices(len(generators), plan.micro_batch)
        ]
    steps = tuple(
        StochasticStep(
            step.sigma, step.sigma_next, step.sigma_max,
            torch.cat([part[1][number].before for part in parts]),
            torch.cat([part[1][number].after for part in parts]),
            torch.cat([part[1][number].logprob for part in parts]),
        )
        for number, step in enumerate(parts[0][1])
    )  # fmt: skip
    return Rollout(condition, torch.cat([latents for latents, _ in parts]), tuple(sigmas), steps)


def _trajectory(
    policy: EditPolicy,
    condition: Condition,
    generators: Sequence[torch.Generator],
    sigmas: Sequence[float],
    plan: SamplingPlan,
) -> tuple[torch.Tensor, list[StochasticStep]]:
    """x_0 and the stored steps of the candidates of one forward pass."""
    rows = condition.repeat(len(generators))
    x = torch.cat([policy.noise(condition, generator) for generator in generators])
    stored = []
    for index in range(plan.steps):
        sigma, sigma_next = sigmas[index], sigmas[index + 1]
        velocity = policy.velocity(x, sigma_rows(sigma, x), rows)
        if index not in plan.stochastic:
            x = ode_step(x, velocity, sigma, sigma_next).mean.to(policy.latent_dtype)
            continue
        transition = sde_step(plan.kind, x, velocity, sigma, sigma_next, plan.eta, sigma_max=sigmas[1])
        after = draw(transition, _step_noise(x, generators), policy.latent_dtype)
        stored.append(StochasticStep(sigma, sigma_next, sigmas[1], x, after, logprob(transition, after)))
        x = after
    return x, stored


def transition_at(
    policy: EditPolicy, step: StochasticStep, rows: torch.Tensor, condition: Condition, plan: SamplingPlan
) -> Transition:
    """The Gaussian of a stored step under the policy as it is now, for some of its candidates."""
    before = step.before[rows]
    velocity = policy.velocity(before, sigma_rows(step.sigma, before), condition)
    return sde_step(
        plan.kind, before, velocity, step.sigma, step.sigma_next, plan.eta, sigma_max=step.sigma_max
    )


def sigma_rows(sigma: float, latents: torch.Tensor) -> torch.Tensor:  # [batch] float32
    """σ for each row of a batch."""
    return torch.full((len(latents),), sigma, dtype=torch.float32, device=latents.device)


def _step_noise(x: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    return torch.stack([torch.randn(x.shape[1:], generator=each) for each in generators]).to(x.device)
