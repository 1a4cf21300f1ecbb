"""Intervals of grouped rows, against values worked out by hand."""

import pytest

from edit_rrm.intervals import Cluster, mean_interval, mean_of, share_interval, wilson


def clusters(*groups: tuple[float, ...]) -> list[Cluster]:
    made = []
    for values in groups:
        cluster = Cluster()
        for value in values:
            cluster.add(value)
        made.append(cluster)
    return made


def test_wilson_of_50_in_100() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_one_row_a_group_gives_the_usual_standard_error() -> None:
    # mean 0.5, variance of the mean 0.5 / 2 = 0.25, so 0.5 plus and minus 1.96 times 0.5
    assert mean_interval(clusters((0.0,), (1.0,)), -9, 9) == pytest.approx((-0.48, 1.48), abs=1e-3)


def test_the_same_candidate_twice_does_not_narrow_the_interval() -> None:
    once = mean_interval(clusters((0.2,), (0.6,), (0.7,)), 0, 1)
    twice = mean_interval(clusters((0.2, 0.2), (0.6, 0.6), (0.7, 0.7)), 0, 1)
    assert twice == pytest.approx(once)


def test_an_interval_stays_in_its_range_and_one_group_has_none() -> None:
    assert mean_interval(clusters((0.0,), (1.0,)), 0, 1) == (0.0, 1.0)
    assert mean_interval(clusters((0.0, 1.0)), 0, 1) is None


def test_verdicts_that_agree_within_each_edit_count_as_edits() -> None:
    # variance between the 4 groups 0.25 / 3, of 16 independent rows 0.25 / 15: 16 * (3 / 15) = 3.2 rows
    agreeing = clusters((1, 1, 1, 1), (0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 0, 0))
    assert share_interval(agreeing) == pytest.approx(wilson(0.5, 3.2))


def test_independent_verdicts_count_as_verdicts() -> None:
    # every group has the same share: no variance between groups, so no fewer than the rows
    assert share_interval(clusters((1, 0), (0, 1), (1, 0))) == pytest.approx(wilson(0.5, 6))


def test_one_row_a_group_is_wilsons_own_interval() -> None:
    assert share_interval(clusters((1,), (0,), (1,), (1,))) == pytest.approx(wilson(0.75, 4))


def test_a_share_of_one_is_not_certain() -> None:
    assert share_interval(clusters((1, 1, 1), (1, 1, 1))) == pytest.approx(wilson(1.0, 2))


def test_nothing_has_no_mean_and_no_interval() -> None:
    assert mean_of([]) is None
    assert share_interval([]) is None
    assert mean_interval([], 0, 1) is None
