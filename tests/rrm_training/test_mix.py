"""Which rows a set is made of: shares, what is held out, what is repeated."""

import numpy as np
import pytest

from edit_rrm_training.pipeline.mix import Mix, RowFacts, mix

# Four edits, each with two verifications and a decomposition.
TASKS = ["verify", "verify", "decompose"] * 4
FACTS = RowFacts(np.array(TASKS, dtype=object), np.arange(12), np.repeat(np.arange(4), 3))


def mixed(facts: RowFacts = FACTS, *, validation: float = 0.0, most: int | None = None, seed: int = 0,
          **shares: float) -> Mix:  # fmt: skip
    return mix(facts, shares=shares, validation=validation, most=most, seed=seed)


def count(rows: np.ndarray, task: str) -> int:
    return sum(TASKS[row] == task for row in rows)


def test_without_shares_every_row_is_there_once_in_an_order_of_the_seed() -> None:
    found = mixed()
    assert sorted(found.train) == list(range(12))
    assert list(found.train) != list(range(12))
    assert list(found.train) == list(mixed().train)
    assert list(found.train) != list(mixed(seed=1).train)
    assert not len(found.validation)
    assert not len(found.unused)


@pytest.mark.parametrize(
    ("verify", "decompose", "expected"),
    [(0.5, 0.5, (4, 4)), (0.8, 0.2, (8, 2)), (0.25, 0.75, (1, 4)), (1.0, 0.0, (8, 0))],
)
def test_the_scarcest_kind_is_taken_whole_and_the_other_thinned(
    verify: float, decompose: float, expected: tuple[int, int]
) -> None:
    found = mixed(verify=verify, decompose=decompose)
    assert (count(found.train, "verify"), count(found.train, "decompose")) == expected
    assert len(set(found.train)) == sum(expected)  # none twice
    assert sorted([*found.train, *found.unused]) == list(range(12))


def test_a_count_bounds_the_rows_and_keeps_the_shares() -> None:
    found = mixed(most=4, verify=0.5, decompose=0.5)
    assert (count(found.train, "verify"), count(found.train, "decompose")) == (2, 2)
    assert len(mixed(most=5).train) == 5


def test_what_is_held_out_is_held_out_with_all_rows_of_its_edit() -> None:
    found = mixed(validation=0.1)  # of four edits: one
    assert len(found.validation) == 3
    assert len({row // 3 for row in found.validation}) == 1
    assert sorted([*found.train, *found.validation]) == list(range(12))


def test_of_equal_rows_the_first_is_taken() -> None:
    facts = RowFacts(FACTS.tasks, np.array([7, 7, 1, 2, 3, 4, 5, 7, 6, 8, 9, 10]), FACTS.edits)
    found = mixed(facts)
    assert list(found.repeated) == [1, 7]
    assert sorted(found.train) == [0, 2, 3, 4, 5, 6, 8, 9, 10, 11]


def test_a_kind_that_is_not_there_leaves_nothing_of_the_mix() -> None:
    assert len(mixed(verify=0.5, score_only=0.5).train) == 0
