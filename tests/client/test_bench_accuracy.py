"""Accuracies on comparisons few enough to count by hand."""

import pytest

from edit_rrm.intervals import wilson
from edit_rrm_client.bench.accuracy import (
    Accuracy,
    Judged,
    fitted_margin,
    is_right,
    of_comparisons,
    of_groups,
)
from edit_rrm_client.bench.comparisons import Label, Vote
from edit_rrm_client.bench.tables import editscore_lines, genai_lines, tiger_lines


def judged(
    vote: Vote, left: float | None, right: float | None, group: str = "", k: int = 2, task: str = "t"
) -> Judged:
    label = Label(row="r", group=group, k=k, task=task, dimension="overall", vote=vote)
    return Judged(label, left, right)


@pytest.mark.parametrize(
    ("vote", "difference", "margin", "right"),
    [
        (1, 0.5, 0, True),
        (1, -0.5, 0, False),
        (-1, -0.5, 0, True),
        (1, 0.0, 0, False),  # a tie is wrong where people had a preference
        (0, 0.0, 0, True),
        (0, 0.5, 0, False),
        (0, 0.5, 0.5, True),
        (1, 0.5, 0.5, False),
    ],
)
def test_right_is_what_people_said(vote: Vote, difference: float, margin: float, right: bool) -> None:
    assert is_right(vote, difference, margin) is right


def test_a_failure_is_counted_apart_and_is_neither_right_nor_wrong() -> None:
    accuracy = of_comparisons(
        [judged(1, 5, 3, "a"), judged(1, 3, 3, "b"), judged(1, None, 3, "c"), judged(-1, 1, None, "d")]
    )
    assert (accuracy.right, accuracy.total, accuracy.ties, accuracy.failed) == (1, 2, 1, 2)
    assert accuracy.interval == pytest.approx(wilson(0.5, 2))
    assert of_comparisons([]) == Accuracy(right=0, total=0, ties=0, failed=0, interval=None)


def test_a_group_is_right_when_every_pair_is_and_left_out_when_one_is_missing() -> None:
    whole = [judged(1, 5, 4, "g", 3), judged(1, 5, 3, "g", 3), judged(1, 4, 3, "g", 3)]
    wrong = [judged(1, 5, 4, "h", 3), judged(1, 5, 3, "h", 3), judged(1, 3, 3, "h", 3)]
    failed = [judged(1, 5, 4, "i", 3), judged(1, 5, 3, "i", 3), judged(1, None, 3, "i", 3)]
    missing = [judged(1, 5, 4, "j", 3), judged(1, 5, 3, "j", 3)]
    accuracy = of_groups([*whole, *wrong, *failed, *missing])
    assert (accuracy.right, accuracy.total, accuracy.ties, accuracy.failed) == (1, 2, 1, 2)


def test_the_fitted_margin_is_the_smallest_of_the_best() -> None:
    # at 0.2 the human tie becomes right and nothing is lost: 3 of 3
    assert fitted_margin([judged(1, 5, 1), judged(-1, 1, 2), judged(0, 1.25, 1.0)]) == 0.25
    assert fitted_margin([judged(1, 5, 1)]) == 0.0
    assert fitted_margin([]) == 0.0


def test_editscores_mean_is_over_task_types_not_rows() -> None:
    rows = [judged(1, 2, 1, task="colour") for _ in range(3)] + [judged(1, 1, 2, task="removal")]
    mean, rows_line, colour, removal = editscore_lines(rows, tasks=True)
    assert (mean.name, mean.share, mean.published["RL-RRM-7B"]) == (
        "overall, mean over 2 task types",
        0.5,
        78.2,
    )
    assert (rows_line.share, colour.share, removal.share) == (0.75, 1.0, 0.0)


def test_tigers_overall_counts_groups_of_every_size_once() -> None:
    pairs = [judged(1, 2, 1, "a"), judged(0, 1, 1, "b"), judged(-1, 2, 1, "c")]
    triple = [judged(1, 5, 4, "g", 3), judged(1, 5, 3, "g", 3), judged(1, 4, 3, "g", 3)]
    lines = {line.name: line for line in tiger_lines([*pairs, *triple])}
    assert lines["K=2, ties within 0 (fitted)"].accuracy.right == 2
    overall = lines["overall, all groups"].accuracy
    assert (overall.right, overall.total) == (3, 4)
    assert lines["single pairs, K=3, only equal scores tie"].accuracy.total == 3


def test_genai_bench_counts_human_ties_with_and_without_a_margin() -> None:
    shares = [line.share for line in genai_lines([judged(1, 5, 1, "a"), judged(0, 1.25, 1.0, "b")])]
    assert shares == [1.0, 0.5, 1.0]
