"""From an answer to one scalar, worked by hand: follow met, keep not met, quality met."""

from typing import Any

import pytest

from edit_grpo.reward.settings import RewardSettings
from edit_grpo.reward.shaping import shaped_rewards
from edit_rrm_client import ScoreAnswer

PRINCIPLES = [
    {"id": "p1", "question": "Is it blue?", "category": "follow", "weight": 2.0},
    {"id": "p2", "question": "Is the rest unchanged?", "category": "keep"},
    {"id": "p3", "question": "Is it free of noise?", "category": "quality"},
]
VERDICTS = [
    {"principle": "p1", "met": True, "probability": 0.9, "evidence": ""},
    {"principle": "p2", "met": False, "probability": 0.2, "evidence": ""},
    {"principle": "p3", "met": True, "probability": 0.6, "evidence": ""},
]
SCORED = {"status": "ok", "reward": 0.7, "score": 6.0, "average": 0.67, "verdicts": VERDICTS}
FAILED = {"status": "error", "error": {"code": "trace_unparseable", "detail": "no score"}, "reward": None}
BORDER = [{"name": "border", "triggered": True, "value": 0.1}]


def shaped(*results: dict[str, Any], **settings: Any) -> list[float | None]:
    answer = ScoreAnswer.model_validate(
        {"id": "r", "model": "m", "principles": PRINCIPLES, "principles_from": "model", "results": results}
    )
    return shaped_rewards(answer, RewardSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 0.7),
        ({"shape": "model_score"}, 0.6),
        ({"shape": "weighted_mean"}, 3 / 4),  # (2·1 + 0 + 1) / 4
        ({"shape": "soft"}, (2 * 0.9 + 0.2 + 0.6) / 4),
        ({"shape": "gated"}, 0.5),  # mean of keep 0 and quality 1, times follow 1
        (
            {"shape": "weighted_mean", "category_weights": {"follow": 0.5, "keep": 3}},
            2 / 5,
        ),  # (1 + 0 + 1) / 5
        ({"shape": "gated", "category_weights": {"keep": 0}}, 1.0),
        ({"shape": "soft", "category_weights": {"follow": 0, "quality": 0}}, 0.2),
    ],
)
def test_each_shape_gives_what_its_formula_says(settings: dict[str, Any], expected: float) -> None:
    assert shaped(SCORED, **settings) == [pytest.approx(expected)]


def test_a_follow_verdict_that_is_not_met_closes_the_gate() -> None:
    missed = {
        **SCORED,
        "verdicts": [{**VERDICTS[0], "met": False}, {**VERDICTS[1], "met": True}, VERDICTS[2]],
    }
    assert shaped(missed, shape="gated") == [0.0]


@pytest.mark.parametrize("shape", ["service", "model_score", "weighted_mean", "gated", "soft"])
def test_a_failed_candidate_is_none_in_its_place_and_never_a_number(shape: str) -> None:
    assert shaped(FAILED, SCORED, FAILED, shape=shape)[::2] == [None, None]


def test_soft_without_a_probability_is_none() -> None:
    unsure = {**SCORED, "verdicts": [{**VERDICTS[0], "probability": None}, *VERDICTS[1:]]}
    assert shaped(unsure, SCORED, shape="soft") == [None, pytest.approx(0.65)]


def test_verdicts_that_are_missing_are_none_and_so_are_verdicts_that_all_weigh_nothing() -> None:
    assert shaped({**SCORED, "verdicts": VERDICTS[:2]}, shape="weighted_mean") == [None]
    weightless = {"follow": 0, "keep": 0, "quality": 0}
    assert shaped(SCORED, shape="soft", category_weights=weightless) == [None]


def test_a_guard_that_decided_alone_keeps_its_reward_under_every_shape() -> None:
    guarded = {"status": "ok", "reward": 0.0, "score": 0.0, "average": None,
               "guards": [{"name": "no_edit", "triggered": True, "value": 0.0}]}  # fmt: skip
    for shape in ("service", "model_score", "weighted_mean", "gated", "soft"):
        assert shaped(guarded, shape=shape) == [0.0]


def test_an_enforced_guard_caps_the_shaped_reward_and_a_reported_one_does_not() -> None:
    framed = {**SCORED, "guards": BORDER}
    assert shaped(framed, shape="weighted_mean") == [0.5]
    assert shaped(framed, shape="weighted_mean", guards="report") == [0.75]
