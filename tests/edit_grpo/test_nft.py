"""DiffusionNFT's loss, worked by hand."""

import pytest
import torch

from edit_grpo.algorithms.nft import implicit_velocities, nft_loss, old_decay, optimality
from edit_grpo.rollout.sde import noised

LATENTS = torch.tensor([[2.0, -2.0]])
NOISE = torch.tensor([[0.0, 1.0]])
SIGMA = torch.tensor([0.5])
NOISY = torch.tensor([[1.0, -0.5]])
TRUE_VELOCITY = NOISE - LATENTS


def loss(velocity: torch.Tensor, old: torch.Tensor, r: float, mix: float = 1.0) -> torch.Tensor:
    return nft_loss(velocity, old, NOISY, LATENTS, SIGMA, torch.tensor([r]), mix).loss


def test_optimality_is_one_half_at_the_group_s_mean_and_bounded() -> None:
    advantages = torch.tensor([0.0, 2.5, -2.5, 9.0, -9.0])
    assert optimality(advantages, clip=5.0).tolist() == [0.5, 0.75, 0.25, 1.0, 0.0]


def test_the_forward_process_is_a_straight_line() -> None:
    assert torch.equal(noised(LATENTS, NOISE, SIGMA), NOISY)
    assert torch.equal(noised(LATENTS, NOISE, torch.tensor([0.0])), LATENTS)


def test_the_implicit_policies_lie_on_either_side_of_the_old_one() -> None:
    positive, negative = implicit_velocities(torch.tensor([3.0]), torch.tensor([1.0]), mix=0.5)
    assert (positive.item(), negative.item()) == (2.0, 0.0)


def test_with_r_1_and_mix_1_it_is_supervised_flow_matching_weighted_by_its_own_error() -> None:
    velocity = torch.tensor([[-1.0, 4.0]], requires_grad=True)  # the true one is (−2, 3)
    found = loss(velocity, old=torch.zeros(1, 2), r=1.0)
    # x̂_0 − x_0 = −σ (v − true) = (−0.5, −0.5): squared 0.25 over absolute 0.5
    assert found.item() == pytest.approx(0.5)
    found.sum().backward()
    error = velocity.detach() - TRUE_VELOCITY
    flow_matching = 2 * error / 2 * 0.25 / 0.5  # d/dv mean((v − true)²), times σ² over the error's scale
    assert velocity.grad is not None
    assert velocity.grad.tolist()[0] == pytest.approx(flow_matching.tolist()[0])


def test_with_r_0_it_pushes_away_from_the_candidate() -> None:
    velocity = torch.zeros(1, 2, requires_grad=True)
    loss(velocity, old=torch.zeros(1, 2), r=0.0).sum().backward()
    assert velocity.grad is not None
    step = -velocity.grad
    assert (step * TRUE_VELOCITY).sum().item() < 0.0


def test_on_policy_a_candidate_at_its_group_s_mean_teaches_nothing() -> None:
    velocity = torch.tensor([[-1.0, 4.0]], requires_grad=True)
    loss(velocity, old=velocity.detach().clone(), r=0.5).sum().backward()
    assert velocity.grad is not None
    assert velocity.grad.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("mix", [0.1, 1.0])
def test_on_policy_the_gradient_does_not_depend_on_how_far_the_implicit_policies_lie(mix: float) -> None:
    velocity = torch.tensor([[-1.0, 4.0]], requires_grad=True)
    loss(velocity, velocity.detach().clone(), 1.0, mix).sum().backward()
    assert velocity.grad is not None
    assert velocity.grad.tolist()[0] == pytest.approx([0.5, 0.5])


def test_the_sampling_policy_follows_more_and_more_slowly() -> None:
    assert [old_decay(0.001, 0.5, update) for update in (0, 100, 500, 2000)] == [0.0, 0.1, 0.5, 0.5]
