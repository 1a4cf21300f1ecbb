"""Calibration and rank agreement, checked by hand."""

import math

import pytest

from edit_rrm_training.evaluation.calibration import (
    average_ranks,
    expected_calibration_error,
    reliability,
    spearman,
)


def test_bins_hold_their_verdicts_and_empty_ones_are_left_out() -> None:
    bins = reliability([0.0, 0.05, 0.1, 0.95, 1.0], [False, True, False, True, True])
    assert [(b.low, b.count, b.share_met) for b in bins] == [(0.0, 2, 0.5), (0.1, 1, 0.0), (0.9, 2, 1.0)]
    assert bins[2].mean_probability == pytest.approx(0.975)


def test_the_error_is_the_weighted_distance_from_the_diagonal() -> None:
    # Four at 0.9 of which three are met, one at 0.1 that is met: 4/5 · 0.15 + 1/5 · 0.9 = 0.30.
    bins = reliability([0.9, 0.9, 0.9, 0.9, 0.1], [True, True, True, False, True])
    assert expected_calibration_error(bins) == pytest.approx(0.30)
    assert math.isnan(expected_calibration_error([]))


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert average_ranks([3.0, 1.0, 3.0, 0.0]) == [3.5, 2.0, 3.5, 1.0]


def test_spearman_of_known_orders() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 30, 99]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    # One swap of neighbours among five: 1 − 6·2 / (5·24) = 0.9.
    assert spearman([1, 2, 3, 4, 5], [1, 3, 2, 4, 5]) == pytest.approx(0.9)
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))
