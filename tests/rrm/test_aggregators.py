"""Rewards from scores and verdicts: values by hand, then what must hold for all inputs."""

from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edit_rrm.aggregators import aggregate, category_means, majority
from edit_rrm.checkpoint import AggregatorName
from edit_rrm.errors import TraceError
from edit_rrm.principles import Category, Principle

NAMES: tuple[AggregatorName, ...] = get_args(AggregatorName)


def principle(number: int, category: str, weight: float = 1.0) -> Principle:
    return Principle(id=f"p{number}", question="?", category=Category(category), weight=weight)


FOUR = (
    principle(1, "follow", 2.0),
    principle(2, "follow"),
    principle(3, "keep", 3.0),
    principle(4, "quality"),
)


def reward(
    name: AggregatorName, met: list[bool], score: float = 6.2, principles: tuple[Principle, ...] = FOUR
) -> float:
    known = [0.9, 0.2, 0.8, 0.5][: len(met)]
    return aggregate(name, score=score, principles=principles, met=met, probabilities=known)


def test_model_score_is_a_tenth_of_the_score() -> None:
    assert reward("model_score", [False] * 4) == pytest.approx(0.62)


def test_weighted_mean_of_verdicts() -> None:
    assert reward("weighted_mean", [True, False, True, False]) == pytest.approx((2 + 3) / 7)


def test_soft_takes_probabilities_in_place_of_verdicts() -> None:
    expected = (2 * 0.9 + 1 * 0.2 + 3 * 0.8 + 1 * 0.5) / 7
    assert reward("soft", [False] * 4) == pytest.approx(expected)


def test_gated_multiplies_keep_and_quality_by_the_plain_mean_of_follow() -> None:
    assert reward("gated", [True, False, True, False]) == pytest.approx((3 / 4) * (1 / 2))
    assert reward("gated", [False, False, True, True]) == 0.0
    assert reward("gated", [True, True, True, True]) == 1.0


def test_gated_without_follow_or_without_the_rest() -> None:
    assert reward("gated", [True, False], principles=FOUR[2:]) == pytest.approx(3 / 4)
    assert reward("gated", [True, False], principles=FOUR[:2]) == pytest.approx(1 / 2)


def test_soft_without_a_probability_is_an_error_not_a_number() -> None:
    with pytest.raises(TraceError, match="'p2'"):
        aggregate("soft", score=5, principles=FOUR[:2], met=[True, True], probabilities=[0.5, None])


def test_other_aggregators_need_no_probability() -> None:
    for name in NAMES:
        if name != "soft":
            aggregate(name, score=5, principles=FOUR[:1], met=[True], probabilities=[None])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"met": [True]}, "2 principles, 1 verdicts"),
        ({"probabilities": []}, "0 probabilities"),
        ({"principles": (), "met": [], "probabilities": []}, "at least one"),
        ({"name": "model_score", "score": 10.1}, "score must lie"),
        ({"name": "model_score", "score": float("nan")}, "score must lie"),
        ({"name": "soft", "probabilities": [0.5, 1.5]}, "probability must lie"),
        ({"name": "median"}, "unknown aggregator"),
    ],
)
def test_input_that_does_not_fit_is_refused(changes: dict[str, object], fault: str) -> None:
    arguments: dict[str, object] = {
        "name": "weighted_mean",
        "score": 5.0,
        "principles": FOUR[:2],
        "met": [True, True],
        "probabilities": [0.5, 0.5],
    }
    with pytest.raises(ValueError, match=fault):
        aggregate(**(arguments | changes))  # type: ignore[arg-type]


def test_category_means_name_only_what_is_there() -> None:
    assert category_means(FOUR, [True, False, True, False]) == {
        Category.FOLLOW: 0.5,
        Category.KEEP: 1.0,
        Category.QUALITY: 0.0,
    }
    assert category_means(FOUR[2:3], [False]) == {Category.KEEP: 0.0}
    with pytest.raises(ValueError, match=r"shorter|longer"):
        category_means(FOUR, [True])


@pytest.mark.parametrize(
    ("votes", "met"),
    [
        ([True], True),
        ([False], False),
        ([True, False], False),
        ([True, True, False], True),
        ([True] * 2 + [False] * 2, False),
    ],
)
def test_majority_needs_more_than_half(votes: list[bool], met: bool) -> None:
    assert majority(votes) is met


def test_majority_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        majority([])


@st.composite
def judgements(draw: st.DrawFn) -> tuple[tuple[Principle, ...], list[bool], list[float | None], float]:
    count = draw(st.integers(1, 12))
    categories = draw(st.lists(st.sampled_from(list(Category)), min_size=count, max_size=count))
    weights = draw(st.lists(st.floats(0.01, 10), min_size=count, max_size=count))
    principles = tuple(principle(i, c, w) for i, (c, w) in enumerate(zip(categories, weights, strict=True)))
    met = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    probabilities: list[float | None] = list(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))
    return principles, met, probabilities, draw(st.floats(0, 10))


@given(judgements(), st.sampled_from(NAMES))
def test_rewards_lie_between_zero_and_one(
    judged: tuple[tuple[Principle, ...], list[bool], list[float | None], float], name: AggregatorName
) -> None:
    principles, met, probabilities, score = judged
    assert (
        0.0
        <= aggregate(name, score=score, principles=principles, met=met, probabilities=probabilities)
        <= 1.0
    )


@given(judgements(), st.sampled_from(["weighted_mean", "gated", "soft"]), st.data())
def test_one_more_verdict_met_never_lowers_the_reward(
    judged: tuple[tuple[Principle, ...], list[bool], list[float | None], float],
    name: AggregatorName,
    data: st.DataObject,
) -> None:
    principles, met, probabilities, score = judged
    at = data.draw(st.integers(0, len(met) - 1))
    better_met, better_probabilities = list(met), list(probabilities)
    better_met[at], better_probabilities[at] = True, 1.0
    before = aggregate(name, score=score, principles=principles, met=met, probabilities=probabilities)
    after = aggregate(
        name, score=score, principles=principles, met=better_met, probabilities=better_probabilities
    )
    assert after >= before - 1e-12


@given(judgements())
def test_a_verdict_turned_to_met_raises_the_weighted_mean(
    judged: tuple[tuple[Principle, ...], list[bool], list[float | None], float],
) -> None:
    principles, met, probabilities, score = judged
    assume(not all(met))
    better = list(met)
    better[met.index(False)] = True
    worse, more = (
        aggregate("weighted_mean", score=score, principles=principles, met=m, probabilities=probabilities)
        for m in (met, better)
    )
    assert more > worse


@given(judgements(), st.sampled_from(NAMES), st.floats(0.1, 10))
def test_only_the_ratio_of_weights_matters(
    judged: tuple[tuple[Principle, ...], list[bool], list[float | None], float],
    name: AggregatorName,
    factor: float,
) -> None:
    principles, met, probabilities, score = judged
    scaled = tuple(p.model_copy(update={"weight": p.weight * factor}) for p in principles)
    assert aggregate(
        name, score=score, principles=scaled, met=met, probabilities=probabilities
    ) == pytest.approx(
        aggregate(name, score=score, principles=principles, met=met, probabilities=probabilities)
    )
