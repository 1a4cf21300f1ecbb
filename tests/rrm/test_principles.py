"""Principles are validated data."""

import pytest
from pydantic import ValidationError

from edit_rrm.principles import Category, Principle, count_by_category, numbered


def test_numbered_gives_ids_in_order_and_weight_one() -> None:
    assert numbered([("follow", "Is it blue?"), (Category.KEEP, "Is the sky the same?")]) == (
        Principle(id="p1", question="Is it blue?", category=Category.FOLLOW, weight=1.0),
        Principle(id="p2", question="Is the sky the same?", category=Category.KEEP, weight=1.0),
    )


def test_counts_name_every_category() -> None:
    principles = numbered([("follow", "a"), ("follow", "b"), ("quality", "c")])
    assert count_by_category(principles) == {Category.FOLLOW: 2, Category.KEEP: 0, Category.QUALITY: 1}


@pytest.mark.parametrize(
    "change",
    [
        {"category": "style"},
        {"question": ""},
        {"question": "x" * 1001},
        {"id": ""},
        {"weight": 0.0},
        {"weight": -1.0},
        {"weight": float("nan")},
        {"weight": float("inf")},
        {"note": "unknown field"},
    ],
)
def test_a_principle_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    good = {"id": "p1", "question": "Is it blue?", "category": "follow"}
    assert Principle.model_validate(good).weight == 1.0
    with pytest.raises(ValidationError):
        Principle.model_validate(good | change)


def test_a_principle_cannot_be_changed() -> None:
    principle = Principle(id="p1", question="q", category=Category.KEEP)
    with pytest.raises(ValidationError):
        principle.weight = 2.0
