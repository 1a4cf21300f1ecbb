"""Drawing a group: what is stored, what decides the noise, and the ratio on policy."""

import math
import random

import pytest
import torch
from linear_editor import LinearEditor
from PIL import Image

from edit_grpo.algorithms.algorithm import Grpo, Nft
from edit_grpo.algorithms.grpo import group_advantages
from edit_grpo.algorithms.settings import GrpoSettings, NftSettings
from edit_grpo.rollout.rollout import (
    Rollout,
    SamplingPlan,
    generators_of,
    roll_out,
    row_slices,
    seed_of,
    transition_at,
)
from edit_grpo.rollout.sde import logprob
from edit_grpo.rollout.settings import SamplingSettings

SOURCE = Image.new("RGB", (8, 8), (120, 60, 30))


def drawn(plan: SamplingPlan, candidates: int = 4, policy: LinearEditor | None = None) -> Rollout:
    editor = policy or LinearEditor()
    return roll_out(editor, editor.encode([[SOURCE]], ["x"]), generators_of(0, 3, 1, candidates), plan)


@pytest.mark.parametrize("kind", ["flow_grpo", "cps"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_policy_the_ratio_is_exactly_one(kind: str, dtype: torch.dtype) -> None:
    policy = LinearEditor(latent_dtype=dtype)
    plan = SamplingPlan(5, 3, range(4), "cps" if kind == "cps" else "flow_grpo", 0.7)
    rollout = drawn(plan, 4, policy)
    for step in rollout.steps:
        for rows in row_slices(4, 3):
            condition = rollout.condition.repeat(len(step.before[rows]))
            again = logprob(transition_at(policy, step, rows, condition, plan), step.after[rows])
            assert torch.exp(again - step.logprob[rows]).tolist() == [1.0] * len(again)


def test_only_stochastic_steps_are_stored_and_each_begins_where_the_trajectory_was() -> None:
    rollout = drawn(SamplingPlan(6, 4, range(2, 4)))
    assert [(step.sigma, step.sigma_next) for step in rollout.steps] == [
        (pytest.approx(4 / 6), pytest.approx(3 / 6)),
        (pytest.approx(3 / 6), pytest.approx(2 / 6)),
    ]
    assert torch.equal(rollout.steps[0].after, rollout.steps[1].before)
    assert drawn(SamplingPlan(6, 4)).steps == ()


def test_without_stochastic_steps_a_trajectory_is_the_ode_s() -> None:
    policy = LinearEditor()
    condition = policy.encode([[SOURCE]], ["x"])
    x = policy.noise(condition, generators_of(0, 3, 1, 1)[0])
    for sigma, sigma_next in ((1.0, 0.5), (0.5, 0.0)):
        x = x + policy.velocity(x, torch.tensor([sigma]), condition) * (sigma_next - sigma)
    assert torch.equal(drawn(SamplingPlan(2, 1), 1).latents, x)


def test_a_candidate_depends_on_who_it_is_and_not_on_who_is_drawn_with_it() -> None:
    plan = SamplingPlan(4, 2, range(2))
    many, few = drawn(plan, 5), drawn(SamplingPlan(4, 3, range(2)), 3)
    assert torch.allclose(many.latents[:3], few.latents, atol=1e-6)
    assert not torch.allclose(many.latents[0], many.latents[1], atol=0.1)


def test_seeds_differ_in_every_part() -> None:
    seeds = {
        seed_of(*parts) for parts in ((0, 1, 2, 3), (1, 1, 2, 3), (0, 2, 2, 3), (0, 1, 3, 3), (0, 12, 3))
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_grpo_s_gradient_is_the_policy_gradient_and_a_candidate_without_a_reward_has_none() -> None:
    policy = LinearEditor()
    algorithm = Grpo(policy, GrpoSettings(beta=0.0), SamplingSettings(group_size=3, steps=2, micro_batch=3))
    condition = policy.encode([[SOURCE]], ["x"])
    group = algorithm.draw(condition, generators_of(0, 0, 0, 3), 0, random.Random(0))
    (step,) = group.points
    advantages = group_advantages([0.2, None, 0.8], std_floor=0.01)
    for spoilt in (step.before, step.after, group.rollout.latents):
        spoilt[1] = math.nan  # it takes no part, whatever is in it
    rows = torch.tensor([0, 2])
    found = algorithm.loss(group, step, rows, advantages.advantages[rows])
    found.loss.backward()
    gradient = [parameter.grad.clone() for parameter in policy.trainable() if parameter.grad is not None]
    policy.module.zero_grad()
    plan = SamplingPlan(2, 3)
    transition = transition_at(policy, step, rows, group.rollout.condition.repeat(2), plan)
    logprobs = logprob(transition, step.after[rows])
    (-(logprobs[1] - logprobs[0]) / 2).backward()  # advantages −1 and 1, mean over the two
    for mine, parameter in zip(gradient, policy.trainable(), strict=True):
        assert torch.allclose(mine, parameter.grad, atol=1e-6)
    assert found.watched["ratio"].tolist() == [1.0, 1.0]


def test_the_kl_is_zero_at_the_reference_and_grows_away_from_it() -> None:
    policy = LinearEditor()
    algorithm = Grpo(policy, GrpoSettings(beta=0.5), SamplingSettings(group_size=2, steps=2, micro_batch=2))
    group = algorithm.draw(policy.encode([[SOURCE]], ["x"]), generators_of(0, 0, 0, 2), 0, random.Random(0))
    arguments = (torch.arange(2), torch.zeros(2))
    assert algorithm.loss(group, group.points[0], *arguments).watched["kl"].tolist() == [0.0, 0.0]
    with torch.no_grad():
        policy.trainable()[1].add_(1.0)
    moved = algorithm.loss(group, group.points[0], *arguments)
    assert moved.loss.item() == pytest.approx(0.5 * moved.watched["kl"].mean().item(), rel=1e-5)
    assert moved.watched["kl"].min().item() > 0.0
    assert math.isfinite(moved.loss.item())


def test_nft_draws_by_the_policy_that_follows_and_trains_the_one_that_leads() -> None:
    policy = LinearEditor()
    algorithm = Nft(policy, NftSettings(points=3), SamplingSettings(group_size=2, steps=4, micro_batch=2))
    condition = policy.encode([[SOURCE]], ["x"])
    before = algorithm.draw(condition, generators_of(0, 0, 0, 2), 0, random.Random(0))
    with torch.no_grad():
        policy.trainable()[1].add_(1.0)
    after = algorithm.draw(condition, generators_of(0, 0, 0, 2), 0, random.Random(0))
    assert torch.equal(before.rollout.latents, after.rollout.latents)
    assert len(before.points) == 3
    assert {sigma.item() for point in before.points for sigma in point.sigma} <= {1.0, 0.75, 0.5, 0.25}
    algorithm.after_update(0)  # keeps min(0.001 · 0, 0.5) = 0 of itself: follows at once
    followed = algorithm.draw(condition, generators_of(0, 0, 0, 2), 1, random.Random(0))
    assert not torch.equal(followed.rollout.latents, before.rollout.latents)
