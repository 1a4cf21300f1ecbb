"""SDE steps against closed forms, on a Gaussian whose velocity field is known exactly."""

import math
from itertools import pairwise

import pytest
import torch

from edit_grpo.rollout.sde import (
    Kind,
    Transition,
    cps_step,
    draw,
    flow_grpo_step,
    kl,
    logprob,
    ode_step,
    sde_step,
)

MEAN, STD = 1.5, 0.6  # of the data


def velocity(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """E[x1 − x0 | x_σ = x] for x0 ~ N(MEAN, STD²) and x1 ~ N(0, 1), independent."""
    variance = (1 - sigma) ** 2 * STD**2 + sigma**2
    shared = sigma - (1 - sigma) * STD**2
    return -MEAN + shared / variance * (x - (1 - sigma) * MEAN)


def run(step: str, steps: int, samples: int, eta: float, until: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    sigmas = torch.linspace(1.0, until, steps + 1, dtype=torch.float64).tolist()
    x = torch.randn(samples, 1, generator=generator)
    for sigma, following in pairwise(sigmas):
        v = velocity(x, sigma)
        if step == "ode":
            transition = ode_step(x, v, sigma, following)
        else:
            kind: Kind = "cps" if step == "cps" else "flow_grpo"
            transition = sde_step(kind, x, v, sigma, following, eta, sigma_max=sigmas[1])
        x = draw(transition, torch.randn(x.shape, generator=generator), torch.float32)
    return x


@pytest.mark.parametrize("until", [0.5, 0.05])
@pytest.mark.parametrize("step", ["ode", "flow_grpo"])
def test_marginals_are_those_of_the_flow(step: str, until: float) -> None:
    x = run(step, steps=400, samples=40_000, eta=0.7, until=until)
    expected_std = math.sqrt((1 - until) ** 2 * STD**2 + until**2)
    assert x.mean().item() == pytest.approx((1 - until) * MEAN, abs=0.02)
    assert x.std().item() == pytest.approx(expected_std, rel=0.02)


def test_a_cps_trajectory_keeps_the_mean_and_ends_without_noise() -> None:
    x = run("cps", steps=400, samples=40_000, eta=0.1)
    assert x.mean().item() == pytest.approx(MEAN, abs=0.02)
    last = cps_step(torch.ones(2, 1), torch.ones(2, 1), 0.1, 0.0, 0.7)
    assert last.std == 0.0
    assert last.mean.flatten().tolist() == pytest.approx([0.9, 0.9])


def test_a_cps_step_has_the_noise_level_of_its_sigma() -> None:
    """With true x0 and x1 the new point is (1 − σ') x0 + noise of variance exactly σ'²."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(200_000, 1, generator=generator)
    data = torch.full_like(noise, 2.0)
    sigma, following = 0.8, 0.6
    transition = cps_step((1 - sigma) * data + sigma * noise, noise - data, sigma, following, 0.7)
    x = draw(transition, torch.randn(noise.shape, generator=generator), torch.float32)
    assert x.mean().item() == pytest.approx((1 - following) * 2.0, abs=0.01)
    assert x.std().item() == pytest.approx(following, rel=0.01)


def test_the_flow_grpo_step_is_the_formula_worked_by_hand() -> None:
    """σ = 0.5, σ' = 0.4, η = 1: s = 1, dt = −0.1."""
    found = flow_grpo_step(torch.tensor([[2.0]]), torch.tensor([[3.0]]), 0.5, 0.4, 1.0, sigma_max=0.9)
    assert found.mean.item() == pytest.approx(2.0 * (1 - 0.1) + 3.0 * (1 + 0.5) * -0.1)
    assert found.std == pytest.approx(math.sqrt(0.1))


def test_the_first_step_from_pure_noise_is_finite_and_as_published() -> None:
    """σ = 1, σ' = 0.9: s = η √(1 / (1 − 0.9)), so std = s √0.1 = η."""
    found = flow_grpo_step(torch.ones(1, 2), torch.ones(1, 2), 1.0, 0.9, 0.7, sigma_max=0.9)
    assert found.std == pytest.approx(0.7)
    assert torch.isfinite(found.mean).all()


@pytest.mark.parametrize("kind", ["flow_grpo", "cps"])
def test_without_noise_a_stochastic_step_is_the_ode_step(kind: Kind) -> None:
    x, v = torch.randn(3, 4), torch.randn(3, 4)
    found = sde_step(kind, x, v, 0.7, 0.5, 0.0, sigma_max=0.9)
    torch.testing.assert_close(found.mean, ode_step(x, v, 0.7, 0.5).mean)
    assert found.std == 0.0


def test_log_probability_is_the_mean_gaussian_log_density_of_the_elements() -> None:
    transition = Transition(torch.zeros(2, 2, 3), 2.0)
    drawn = torch.full((2, 2, 3), 2.0)
    expected = torch.distributions.Normal(0.0, 2.0).log_prob(torch.tensor(2.0))
    torch.testing.assert_close(logprob(transition, drawn), expected.expand(2))


@pytest.mark.parametrize("kind", ["flow_grpo", "cps"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_policy_the_ratio_is_exactly_one_whatever_the_latents_are_stored_in(
    kind: Kind, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(5, 8, generator=generator).to(dtype)
    v = torch.randn(5, 8, generator=generator).to(dtype)
    transition = sde_step(kind, x, v, 0.7, 0.6, 0.7, sigma_max=0.9)
    drawn = draw(transition, torch.randn(5, 8, generator=generator), dtype)
    before = logprob(transition, drawn)
    again = logprob(sde_step(kind, x.clone(), v.clone(), 0.7, 0.6, 0.7, sigma_max=0.9), drawn.to(dtype))
    assert torch.equal(torch.exp(again - before), torch.ones(5))


def test_kl_of_a_step_is_the_closed_form_and_zero_against_itself() -> None:
    one, other = Transition(torch.zeros(1, 4), 0.5), Transition(torch.full((1, 4), 0.3), 0.5)
    p, q = torch.distributions.Normal(0.0, 0.5), torch.distributions.Normal(0.3, 0.5)
    assert kl(one, other).item() == pytest.approx(torch.distributions.kl_divergence(p, q).item())
    assert kl(one, one).item() == 0.0
    # A step of an SDE: as published, by s and not by its std s·√(−dt).
    slow = [Transition(each.mean, each.std, 0.1) for each in (one, other)]
    assert kl(*slow).item() == pytest.approx(0.1 * kl(one, other).item())
    step = flow_grpo_step(torch.zeros(1, 4), torch.zeros(1, 4), 0.5, 0.4, 0.7, sigma_max=0.9)
    assert (step.std, step.time) == (pytest.approx(0.7 * 0.1**0.5), pytest.approx(0.1))


def test_a_deterministic_step_has_neither_density_nor_kl() -> None:
    still = Transition(torch.zeros(1, 2), 0.0)
    with pytest.raises(ValueError, match="deterministic"):
        logprob(still, torch.zeros(1, 2))
    with pytest.raises(ValueError, match="positive std"):
        kl(still, still)
