"""Group advantages and the clipped surrogate, worked by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edit_grpo.algorithms.grpo import clipped_surrogate, group_advantages


def test_advantages_are_the_standardised_rewards_of_the_group() -> None:
    found = group_advantages([0.0, 0.5, 1.0], std_floor=0.01)
    std = math.sqrt(1 / 6)
    assert found.advantages.tolist() == pytest.approx([-0.5 / std, 0.0, 0.5 / std])
    assert (found.mean, found.std, found.skipped) == (0.5, pytest.approx(std), None)


def test_a_failed_candidate_is_no_zero_it_moves_neither_mean_nor_std_and_gets_no_gradient() -> None:
    with_failure = group_advantages([0.4, None, 0.8], std_floor=0.01)
    without = group_advantages([0.4, 0.8], std_floor=0.01)
    assert with_failure.advantages.tolist() == [without.advantages[0], 0.0, without.advantages[1]]
    assert with_failure.usable.tolist() == [True, False, True]
    assert (with_failure.mean, with_failure.std) == (without.mean, without.std)


def test_a_group_of_equal_rewards_is_skipped_and_so_is_one_below_the_floor() -> None:
    for rewards in ([0.7, 0.7, 0.7], [0.7, 0.7001, 0.7]):
        found = group_advantages(rewards, std_floor=0.01)
        assert found.skipped == "zero variance"
        assert not found.usable.any()
        assert not found.advantages.any()


@pytest.mark.parametrize("rewards", [[None, None], [0.3, None], [None]])
def test_fewer_than_two_rewards_teach_nothing(rewards: list[float | None]) -> None:
    found = group_advantages(rewards, std_floor=0.0)
    assert found.skipped == "failures"
    assert not found.usable.any()


def test_advantages_are_clipped() -> None:
    found = group_advantages([0.0] * 99 + [1.0], std_floor=0.01, clip=5.0)
    assert found.advantages.max().item() == 5.0


@given(st.lists(st.none() | st.floats(0.0, 1.0), min_size=1, max_size=24))
def test_advantages_sum_to_zero_and_are_finite(rewards: list[float | None]) -> None:
    found = group_advantages(rewards, std_floor=0.01)
    assert torch.isfinite(found.advantages).all()
    assert found.advantages.sum().item() == pytest.approx(0.0, abs=1e-3)
    assert found.advantages[~found.usable].abs().sum().item() == 0.0


def test_on_policy_the_surrogate_s_gradient_is_the_policy_gradient() -> None:
    logprob = torch.tensor([-1.0, -2.0], requires_grad=True)
    advantages = torch.tensor([1.0, -3.0])
    surrogate = clipped_surrogate(logprob, logprob.detach(), advantages, 0.2)
    surrogate.loss.backward()
    assert surrogate.ratio.tolist() == [1.0, 1.0]
    assert surrogate.clipped_share == 0.0
    assert logprob.grad is not None
    assert logprob.grad.tolist() == [-0.5, 1.5]


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "moves"),
    [
        (1.5, 1.0, -1.2, False),  # better already: no further
        (0.5, -1.0, 0.8, False),  # worse already: no further
        (1.5, -1.0, 1.5, True),  # moved the wrong way: comes back
        (0.5, 1.0, -0.5, True),
        (1.1, 1.0, -1.1, True),
    ],
)
def test_the_clip_stops_what_has_moved_far_enough(
    ratio: float, advantage: float, loss: float, moves: bool
) -> None:
    logprob = torch.tensor([math.log(ratio)], requires_grad=True)
    surrogate = clipped_surrogate(logprob, torch.zeros(1), torch.tensor([advantage]), 0.2)
    surrogate.loss.backward()
    assert surrogate.loss.item() == pytest.approx(loss)
    assert logprob.grad is not None
    assert bool(logprob.grad.abs().item() > 0) is moves
    assert surrogate.clipped_share == (0.0 if moves else 1.0)
