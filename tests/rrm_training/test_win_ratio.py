"""GCPO's rewards: every number here can be checked by hand."""

import math
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edit_rrm_training.gcpo.credit.win_ratio import advantages, expected_win_ratios, report, win_ratios

NAN = math.nan


def ratios(preferred: list[float], other: list[float]) -> tuple[list[float], list[float]]:
    found = win_ratios(torch.tensor([[preferred, other]]))[0]
    return found[0].tolist(), found[1].tolist()


def test_a_trace_earns_the_share_of_opponents_on_its_right_side() -> None:
    # 8 beats 7, 3 and 2; 4 beats 3 and 2; 5 beats 3 and 2; 1 beats none.
    won, lost = ratios([8.0, 4.0, 5.0, 1.0], [7.0, 3.0, 2.0, 9.0])
    assert won == [0.75, 0.5, 0.5, 0.0]
    # 7 is beaten by 8 alone, 3 and 2 by 8, 4 and 5, 9 by nobody.
    assert lost == [0.25, 0.75, 0.75, 0.0]


def test_ties_earn_nothing_on_either_side() -> None:
    assert ratios([5.0, 5.0], [5.0, 5.0]) == ([0.0, 0.0], [0.0, 0.0])
    assert ratios([5.0, 6.0], [5.0, 5.0]) == ([0.0, 1.0], [0.5, 0.5])


def test_groups_that_are_all_right_or_all_wrong_give_no_advantage() -> None:
    for scores in ([[9.0, 8.0], [1.0, 2.0]], [[1.0, 2.0], [9.0, 8.0]], [[4.0, 4.0], [4.0, 4.0]]):
        rewards = win_ratios(torch.tensor([scores]))
        assert advantages(rewards).abs().max() == 0
    assert win_ratios(torch.tensor([[[9.0, 8.0], [1.0, 2.0]]])).min() == 1.0


@pytest.mark.parametrize(
    ("preferred", "other", "won", "lost"),
    [
        # An unparsed preferred trace earns 0 and beats nobody.
        ([NAN, 8.0], [2.0, 3.0], [0.0, 1.0], [0.5, 0.5]),
        # An unparsed other trace earns 0 and is beaten by nobody.
        ([7.0, 8.0], [2.0, NAN], [0.5, 0.5], [1.0, 0.0]),
        ([NAN, NAN], [2.0, 3.0], [0.0, 0.0], [0.0, 0.0]),
        ([NAN, NAN], [NAN, NAN], [0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_an_unparsed_trace_earns_nothing_beats_nobody_and_is_not_beaten(
    preferred: list[float], other: list[float], won: list[float], lost: list[float]
) -> None:
    assert ratios(preferred, other) == (won, lost)


def test_an_unparsed_trace_has_a_negative_advantage_among_right_ones() -> None:
    rewards = win_ratios(torch.tensor([[[NAN, 8.0, 8.0, 8.0], [1.0, 1.0, 1.0, 1.0]]]))
    assert advantages(rewards)[0].tolist() == [[-0.75, 0.25, 0.25, 0.25], [0.0, 0.0, 0.0, 0.0]]


def test_a_single_trace_is_its_own_baseline() -> None:
    rewards = win_ratios(torch.tensor([[[8.0], [2.0]], [[2.0], [8.0]]]))
    assert rewards.tolist() == [[[1.0], [1.0]], [[0.0], [0.0]]]
    assert advantages(rewards).abs().max() == 0


def test_the_baseline_is_the_own_group_s_mean_and_nothing_is_divided_by_a_deviation() -> None:
    rewards = win_ratios(torch.tensor([[[8.0, 1.0], [5.0, 5.0]], [[9.0, 9.0], [1.0, 1.0]]]))
    assert rewards[0].tolist() == [[1.0, 0.0], [0.5, 0.5]]
    assert advantages(rewards).tolist() == [[[0.5, -0.5], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]


def test_the_shape_must_be_pairs_by_two_by_traces() -> None:
    with pytest.raises(ValueError, match=r"\[pairs, 2, traces\], got \[4, 3\]"):
        win_ratios(torch.zeros(4, 3))


def test_the_report_of_a_batch_of_two_pairs() -> None:
    # Pair 1: rewards (1, 0) and (0.5, 0.5); pair 2, of which nothing parses on one side: all 0.
    scores = torch.tensor([[[8.0, 1.0], [5.0, 5.0]], [[6.0, 6.0], [NAN, NAN]]])
    lengths = torch.tensor([[[10, 20], [10, 10]], [[10, 10], [10, 30]]])
    found = report(scores, lengths)
    assert found.reward == pytest.approx(2 / 8)
    assert found.win_ratio == found.loss_ratio == pytest.approx(1 / 4)
    assert found.unparsed == pytest.approx(2 / 8)
    assert found.weighted_advantage == pytest.approx((0.5 / 10 - 0.5 / 20) / 8)
    assert found.score_margin == pytest.approx(4.5 - 5.0)  # pair 2 has scores on one side only
    assert found.trace_tokens == pytest.approx(110 / 8)
    assert found.no_gradient == 0.5


def test_right_judgements_that_are_longer_give_a_negative_weighted_advantage() -> None:
    scores = torch.tensor([[[8.0, 1.0], [5.0, 5.0]]])
    assert report(scores, torch.tensor([[[10, 20], [10, 10]]])).weighted_advantage > 0
    assert report(scores, torch.tensor([[[20, 10], [10, 10]]])).weighted_advantage < 0


score = st.one_of(st.just(NAN), st.integers(0, 20).map(lambda n: n / 2))
groups = st.integers(1, 6).flatmap(
    lambda n: st.tuples(st.lists(score, min_size=n, max_size=n), st.lists(score, min_size=n, max_size=n))
)


@given(groups)
def test_both_sides_count_the_same_right_orders(group: tuple[list[float], list[float]]) -> None:
    won, lost = ratios(*group)
    assert sum(won) == pytest.approx(sum(lost), abs=1e-6)
    assert all(0.0 <= value <= 1.0 for value in (*won, *lost))


@given(groups)
def test_mirroring_the_scores_and_the_sides_mirrors_the_rewards(
    group: tuple[list[float], list[float]],
) -> None:
    preferred, other = group
    won, lost = ratios(preferred, other)
    mirrored = ratios([10 - s for s in other], [10 - s for s in preferred])
    assert mirrored == (lost, won)


@given(groups)
def test_advantages_of_a_group_sum_to_zero_and_unparsed_ones_are_never_positive(
    group: tuple[list[float], list[float]],
) -> None:
    scores = torch.tensor([group])
    found = advantages(win_ratios(scores))
    assert found.sum(dim=-1).abs().max() < 1e-5
    assert (found[scores.isnan()] <= 0).all()


@given(groups)
def test_a_higher_score_never_earns_less_on_the_preferred_side(
    group: tuple[list[float], list[float]],
) -> None:
    preferred, other = group
    won, lost = ratios(preferred, other)
    for rewards, scores, sign in ((won, preferred, 1), (lost, other, -1)):
        stated = sorted((sign * s, r) for s, r in zip(scores, rewards, strict=True) if not math.isnan(s))
        assert all(a[1] <= b[1] for a, b in pairwise(stated))


def test_certain_scores_earn_in_expectation_what_they_earn() -> None:
    places = torch.randint(0, 5, (6, 2, 3), generator=torch.Generator().manual_seed(0))
    certain = torch.nn.functional.one_hot(places, 5).float()
    torch.testing.assert_close(expected_win_ratios(certain), win_ratios(places.float()))
    certain[0, 0, 1] = certain[2, 1, 2] = 0.0  # these do not parse
    stated = places.float()
    stated[0, 0, 1] = stated[2, 1, 2] = math.nan
    torch.testing.assert_close(expected_win_ratios(certain), win_ratios(stated))


def test_the_expectation_is_the_mean_over_draws_and_its_gradient_both_sides_policy_gradients() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 2, 2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    log_probs = logits.log_softmax(-1)
    probabilities = log_probs.exp()
    exact = expected_win_ratios(probabilities)
    means = torch.zeros(1, 2, 2, dtype=torch.float64)
    surrogate = torch.zeros((), dtype=torch.float64)
    for places in product(range(4), repeat=4):
        drawn = torch.tensor(places).view(1, 2, 2)
        chosen = log_probs.gather(-1, drawn[..., None])[..., 0]  # of the drawn scores
        chance = chosen.sum().exp().detach()
        rewards = win_ratios(drawn.double())
        means += chance * rewards
        surrogate = surrogate + chance * (advantages(rewards) * chosen).mean()
    torch.testing.assert_close(exact, means)
    (of_exact,) = torch.autograd.grad(exact.mean() / 2, logits, retain_graph=True)
    (of_draws,) = torch.autograd.grad(surrogate, logits)
    # A mean of the own two traces takes half of a trace's own gradient away.
    torch.testing.assert_close(of_exact / 2, of_draws)
