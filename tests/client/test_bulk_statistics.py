"""Intervals, win rates and best-of-N against values worked out by hand."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edit_rrm_client.bulk.statistics import (
    Interval,
    bootstrap_mean,
    doubling,
    expected_best,
    wilson_interval,
    win_rate,
)


def test_wilson_interval_of_known_cases() -> None:
    # 8 of 10 (z² = 3.8415): centre (0.8 + 0.19207) / 1.38415, half 1.95996 √(0.016 + 0.0096036) / 1.38415
    eight = wilson_interval(8, 10)
    assert eight.low == pytest.approx(0.4902, abs=1e-4)
    assert eight.high == pytest.approx(0.9433, abs=1e-4)
    # none of n: from 0 to z² / (n + z²); all of n: its mirror image
    assert wilson_interval(0, 10).low == 0.0
    assert wilson_interval(0, 10).high == pytest.approx(3.8414588 / 13.8414588)
    assert wilson_interval(10, 10).low == pytest.approx(10 / 13.8414588)
    assert wilson_interval(2.5, 5).low == pytest.approx(1 - wilson_interval(2.5, 5).high)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_a_share_that_is_none_has_no_interval(successes: float, n: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to n"):
        wilson_interval(successes, n)


def test_ties_count_half_and_float_dust_is_a_tie() -> None:
    found = win_rate([0.5, 0.25, -0.5, 0.0, 0.1 + 0.2 - 0.3])
    assert (found.wins, found.ties, found.losses, found.n) == (2, 2, 1, 5)
    assert found.rate == (2 + 1) / 5
    assert found.interval == wilson_interval(3, 5)


def test_bootstrap_is_seeded_and_right_where_the_answer_is_known() -> None:
    assert bootstrap_mean([0.5] * 4).interval == Interval(0.5, 0.5)
    values = [0.0, 1.0] * 200  # standard error of the mean 0.5 / √400 = 0.025; 95 %: ± 0.049
    found = bootstrap_mean(values, seed=1)
    assert found.value == 0.5
    assert found.interval.low == pytest.approx(0.451, abs=0.005)
    assert found.interval.high == pytest.approx(0.549, abs=0.005)
    assert found == bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_mean([])


def test_the_expected_best_of_small_sets() -> None:
    rewards = [0.6, 0.0, 0.3]
    assert expected_best(rewards, 1) == pytest.approx(0.3)  # the mean
    assert expected_best(rewards, 2) == pytest.approx((0.6 + 0.6 + 0.3) / 3)  # of {.6,0} {.6,.3} {0,.3}
    assert expected_best(rewards, 3) == 0.6  # the best
    for n in (0, 4):
        with pytest.raises(ValueError, match="needs at least"):
            expected_best(rewards, n)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.data())
def test_the_expected_best_is_the_mean_over_all_subsets(rewards: list[float], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(rewards)))
    best = [max(subset) for subset in itertools.combinations(rewards, n)]
    assert expected_best(rewards, n) == pytest.approx(sum(best) / len(best))


def test_counts_double_up_to_n() -> None:
    assert doubling(1) == [1]
    assert doubling(8) == [1, 2, 4, 8]
    assert doubling(6) == [1, 2, 4, 6]
