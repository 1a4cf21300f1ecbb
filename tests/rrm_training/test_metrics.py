"""Measures, checked by hand."""

import json
import math

import pytest

from edit_rrm.intervals import Share
from edit_rrm.principles import Category
from edit_rrm_training.evaluation.metrics import (
    JudgedVerdict,
    pair_outcome,
    pairwise,
    precision_recall,
    verdict_shares,
)


def test_wilson_interval_of_known_counts() -> None:
    # 8 of 10: the textbook's 0.49 to 0.94.
    low, high = Share(8, 10).interval
    assert low == pytest.approx(0.4902, abs=1e-3)
    assert high == pytest.approx(0.9433, abs=1e-3)
    assert Share(10, 10).interval[1] == pytest.approx(1.0)
    assert math.isnan(Share(0, 0).value)


def test_a_share_of_none_is_null_as_json() -> None:
    assert json.loads(json.dumps(Share(0, 0).as_dict(), allow_nan=False)) == {
        "value": None, "n": 0, "interval95": None,
    }  # fmt: skip


def test_pairwise_leaves_out_same_and_counts_ties_and_failures_as_wrong() -> None:
    groups = [[(9.0, 9.0), (5.0, 4.0), (5.0, 6.0), (None, 1.0)], [(3.0, 5.0), (8.0, 5.1)]]
    outcome = pairwise(groups, same_zone=0.5)
    # 9>5 right, 9>5 right, tie wrong, three pairs with None wrong; the second group is "same".
    assert (outcome.accuracy.hits, outcome.accuracy.total) == (2, 6)
    assert outcome.ties.hits == 1


def test_verdict_shares_split_by_truth_and_count_unparsed_as_wrong() -> None:
    shares = verdict_shares(
        [
            JudgedVerdict(Category.FOLLOW, True, True),
            JudgedVerdict(Category.FOLLOW, False, True),
            JudgedVerdict(Category.FOLLOW, False, None),
            JudgedVerdict(Category.KEEP, False, False),
        ]
    )
    assert shares["all"] == Share(2, 4)
    assert shares["follow, met"] == Share(1, 1)
    assert shares["follow, not met"] == Share(0, 2)
    assert shares["keep, not met"] == Share(1, 1)


def test_precision_asks_of_what_was_written_and_recall_of_what_is_true() -> None:
    found = precision_recall(
        [
            JudgedVerdict(Category.KEEP, True, True),
            JudgedVerdict(Category.KEEP, False, True),
            JudgedVerdict(Category.KEEP, False, False),
            JudgedVerdict(Category.KEEP, False, None),
        ]
    )
    assert found["keep, precision of met"] == Share(1, 2)
    assert found["keep, recall of met"] == Share(1, 1)
    assert found["keep, precision of not met"] == Share(1, 1)
    assert found["keep, recall of not met"] == Share(1, 3)
    assert found["follow, precision of met"].total == 0


def test_a_preferred_candidate_must_score_strictly_higher() -> None:
    outcome = pair_outcome([(7.0, 3.0), (3.0, 7.0), (5.0, 5.0), (None, 2.0), (2.0, None)])
    assert (outcome.accuracy.hits, outcome.accuracy.total, outcome.ties.hits) == (1, 5, 1)
