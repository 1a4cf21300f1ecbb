"""What a report says in sum, on rows few enough to count."""

import pytest
from bulk_rows import failed_row, scored_row

from edit_rrm.principles import Category
from edit_rrm_client.bulk.rows import ResultRow, RowGuard, RowVerdict
from edit_rrm_client.report.statistics import Statistics, Summary, Tally, distribution


def summed(*rows: ResultRow) -> Summary:
    statistics = Statistics()
    for row in rows:
        statistics.add(row)
    return statistics.summary()


def verdict(category: Category, met: bool) -> RowVerdict:
    return RowVerdict(
        principle="p", question="?", category=category, weight=1, met=met, probability=None, evidence=""
    )


def test_a_failure_is_counted_and_lowers_no_mean() -> None:
    only = summed(scored_row("e1", 0.4), scored_row("e2", 0.8), failed_row("e3")).models[0]
    assert (only.rows, only.scored, only.failed, only.edits) == (3, 2, 1, 3)
    assert only.reward == pytest.approx(0.6)
    assert only.score == pytest.approx(6.0)


def test_a_model_whose_rows_all_failed_has_no_mean_and_comes_last() -> None:
    models = summed(failed_row("e1", model="a"), scored_row("e1", 0.1, model="b")).models
    assert [(group.model, group.reward) for group in models] == [("b", 0.1), ("a", None), (None, 0.1)]


def test_models_are_ranked_and_summed_up_only_when_there_are_several() -> None:
    several = summed(scored_row("e1", 0.2, model="a"), scored_row("e1", 0.9, model="b")).models
    assert [group.model for group in several] == ["b", "a", None]
    assert [group.model for group in summed(scored_row("e1")).models] == ["flux"]


def test_cells_are_the_rows_of_one_model_and_one_edit_category() -> None:
    cells = summed(
        scored_row("e1", 0.2, category="colour"),
        scored_row("e2", 0.6, category="colour"),
        scored_row("e3", 1.0, category="removal"),
    ).cells
    assert [(cell.category, cell.rows, cell.reward) for cell in cells] == [
        ("colour", 2, pytest.approx(0.4)),
        ("removal", 1, 1.0),
    ]


def test_the_top_of_the_range_falls_into_the_last_bin() -> None:
    spread = distribution([0.0, 0.049, 0.05, 1.0], 1.0)
    assert (spread.counts[0], spread.counts[1], spread.counts[-1]) == (2, 1, 1)
    assert spread.tallest == 0.5
    assert distribution([1.0, 2.0, 3.0], 10.0).quartiles == (1.5, 2.0, 2.5)
    assert distribution([4.0], 10.0).quartiles == (4.0, 4.0, 4.0)
    assert distribution([], 10.0).mean is None


def test_pass_rates_are_shares_of_verdicts_in_a_principle_category() -> None:
    follow, keep = Category.FOLLOW, Category.KEEP
    rates = summed(
        scored_row("e1", verdicts=(verdict(follow, True), verdict(follow, False), verdict(keep, True))),
        scored_row("e2", verdicts=(verdict(follow, True), verdict(keep, True))),
    ).pass_rates
    assert {rate.category: (rate.share, rate.verdicts) for rate in rates} == {
        follow: (pytest.approx(2 / 3), 3),
        keep: (1.0, 2),
    }


def test_error_codes_and_triggered_guards_are_tallied_by_model() -> None:
    fired, passed = (RowGuard(name="border", triggered=on, value=1) for on in (True, False))
    summary = summed(
        failed_row("e1", "queue_full"),
        failed_row("e2", "queue_full"),
        failed_row("e3", "broken_image"),
        scored_row("e4", guards=(fired,)),
        scored_row("e5", guards=(passed,)),
    )
    assert summary.failures == (Tally("flux", "queue_full", 2), Tally("flux", "broken_image", 1))
    assert Tally("flux", "border", 1) in summary.guards
