"""The two ways to learn from a scored group, one small class each, behind one protocol.

An algorithm says how candidates are drawn, what of them is kept as training points, and the loss of some
candidates at one point. It knows nothing of optimisers, processes and rewards beyond advantages.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from edit_grpo.algorithms.averages import MovingAverage
from edit_grpo.algorithms.grpo import clipped_surrogate
from edit_grpo.algorithms.nft import nft_loss, old_decay, optimality
from edit_grpo.algorithms.settings import GrpoSettings, NftSettings
from edit_grpo.policies.policy import Condition, EditPolicy
from edit_grpo.rollout.rollout import (
    Rollout,
    SamplingPlan,
    StochasticStep,
    roll_out,
    row_slices,
    transition_at,
)
from edit_grpo.rollout.sde import kl, logprob, noised
from edit_grpo.rollout.settings import SamplingSettings
from edit_grpo.rollout.windows import stochastic_steps


@dataclass(frozen=True)
class ForwardPoint:
    """A noised copy of each candidate, and the velocity that the policy which drew them has there."""

    sigma: torch.Tensor  # [candidates] float32
    noisy: torch.Tensor  # [candidates, ...]: x_σ in the policy's latent dtype
    old_velocity: torch.Tensor  # [candidates, ...]


@dataclass(frozen=True)
class Group:
    """A drawn group with what an algorithm trains on."""

    rollout: Rollout
    points: tuple[Any, ...]  # StochasticStep or ForwardPoint: the algorithm's own kind


@dataclass(frozen=True)
class PointLoss:
    """The loss of some candidates at one point, and what is watched about it."""

    loss: torch.Tensor  # scalar, the mean over the usable candidates, with gradient
    watched: dict[str, torch.Tensor]  # name -> [usable candidates], detached


class Algorithm(Protocol):
    """What the trainer calls."""

    def draw(
        self, condition: Condition, generators: Sequence[torch.Generator], update: int, rng: random.Random
    ) -> Group:
        """The candidates of one edit, one a generator, with their training points."""
        ...

    def loss(
        self,
        group: Group,
        point: Any,
        rows: torch.Tensor,  # [count] numbers of candidates
        advantages: torch.Tensor,  # [count]
    ) -> PointLoss:
        """The mean loss of some candidates; the others take no part, whatever is in them."""
        ...

    def after_update(self, update: int) -> None:
        """Called when update number `update` is applied."""
        ...

    @property
    def averages(self) -> dict[str, MovingAverage]:
        """What a checkpoint must hold beside the weights."""
        ...


class Grpo:
    """Flow-GRPO: the clipped surrogate at each stochastic step, and the step's KL to the reference."""

    def __init__(self, policy: EditPolicy, settings: GrpoSettings, sampling: SamplingSettings) -> None:
        self._policy, self._settings, self._sampling = policy, settings, sampling
        self.averages: dict[str, MovingAverage] = {}

    def draw(
        self, condition: Condition, generators: Sequence[torch.Generator], update: int, rng: random.Random
    ) -> Group:
        steps = stochastic_steps(self._settings.window, self._sampling.steps, update, rng)
        rollout = roll_out(self._policy, condition, generators, self._plan(steps))
        return Group(rollout, rollout.steps)

    def loss(
        self, group: Group, point: StochasticStep, rows: torch.Tensor, advantages: torch.Tensor
    ) -> PointLoss:
        condition = group.rollout.condition.repeat(len(rows))
        plan = self._plan(range(0))
        transition = transition_at(self._policy, point, rows, condition, plan)
        drawn = logprob(transition, point.after[rows])
        surrogate = clipped_surrogate(drawn, point.logprob[rows], advantages, self._settings.clip_range)
        loss = surrogate.loss
        watched = {
            "ratio": surrogate.ratio,
            "clipped": torch.full_like(surrogate.ratio, surrogate.clipped_share),
        }
        if self._settings.beta > 0.0:
            with torch.no_grad(), self._policy.reference():
                reference = transition_at(self._policy, point, rows, condition, plan)
            distance = kl(transition, reference)
            loss = loss + self._settings.beta * distance.mean()
            watched["kl"] = distance.detach()
        return PointLoss(loss, watched)

    def after_update(self, update: int) -> None:
        """Nothing: the policy that is trained is the one that samples."""

    def _plan(self, steps: range) -> SamplingPlan:
        return SamplingPlan(
            self._sampling.steps, self._sampling.micro_batch, steps, self._settings.sde, self._settings.eta
        )


class Nft:
    """DiffusionNFT: candidates by the ODE under a slowly following policy, flow matching at noised copies.

    Unlike the published code, which trains every noise level of the schedule, `points` of them are drawn
    anew for each candidate.
    """

    def __init__(self, policy: EditPolicy, settings: NftSettings, sampling: SamplingSettings) -> None:
        self._policy, self._settings, self._sampling = policy, settings, sampling
        self._old = MovingAverage(policy.trainable())
        self.averages = {"old": self._old}

    def draw(
        self, condition: Condition, generators: Sequence[torch.Generator], update: int, rng: random.Random
    ) -> Group:
        plan = SamplingPlan(self._sampling.steps, self._sampling.micro_batch)
        with self._old.in_place(), torch.no_grad():
            rollout = roll_out(self._policy, condition, generators, plan)
            levels = [
                torch.randperm(plan.steps, generator=each)[: self._settings.points] for each in generators
            ]
            points = tuple(
                self._point(rollout, [rollout.sigmas[each[number]] for each in levels], generators)
                for number in range(min(self._settings.points, plan.steps))
            )
        return Group(rollout, points)

    def _point(
        self, rollout: Rollout, sigmas: Sequence[float], generators: Sequence[torch.Generator]
    ) -> ForwardPoint:
        latents = rollout.latents
        sigma = torch.tensor(sigmas, dtype=torch.float32, device=latents.device)
        noise = torch.cat([self._policy.noise(rollout.condition, each) for each in generators])
        noisy = noised(latents, noise, sigma).to(self._policy.latent_dtype)
        old = [
            self._policy.velocity(noisy[rows], sigma[rows], rollout.condition.repeat(len(sigma[rows])))
            for rows in row_slices(len(sigmas), self._sampling.micro_batch)
        ]
        return ForwardPoint(sigma, noisy, torch.cat(old))

    def loss(
        self, group: Group, point: ForwardPoint, rows: torch.Tensor, advantages: torch.Tensor
    ) -> PointLoss:
        condition = group.rollout.condition.repeat(len(rows))
        noisy, sigma = point.noisy[rows], point.sigma[rows]
        velocity = self._policy.velocity(noisy, sigma, condition)
        r = optimality(advantages, self._settings.advantage_clip)
        latents, old_velocity = group.rollout.latents[rows], point.old_velocity[rows]
        found = nft_loss(velocity, old_velocity, noisy, latents, sigma, r, self._settings.mix)
        # r spreads over the clip: times it, an advantage of 1 weighs 1, as in the published code.
        loss = self._settings.advantage_clip * found.loss.mean()
        moved = (velocity.detach().float() - old_velocity.float()).square().flatten(1).mean(dim=1)
        watched = {
            "positive_loss": found.positive,
            "negative_loss": found.negative,
            "moved": moved,
        }
        if self._settings.kl > 0.0:
            with torch.no_grad(), self._policy.reference():
                reference = self._policy.velocity(noisy, sigma, condition)
            distance = (velocity.float() - reference.float()).square().flatten(1).mean(dim=1)
            loss = loss + self._settings.kl * distance.mean()
            watched["kl"] = distance.detach()
        return PointLoss(loss, watched)

    def after_update(self, update: int) -> None:
        """The sampling policy follows: at first at once, later more and more slowly."""
        settings = self._settings
        self._old.follow(old_decay(settings.old_decay_rate, settings.old_decay_max, update))


def algorithm_of(
    policy: EditPolicy, settings: GrpoSettings | NftSettings, sampling: SamplingSettings
) -> Algorithm:
    """The algorithm that the settings name."""
    if isinstance(settings, NftSettings):
        return Nft(policy, settings, sampling)
    return Grpo(policy, settings, sampling)
