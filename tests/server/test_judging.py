"""Verdict probabilities and what becomes of several samples."""

import math

import pytest
from scripted_engine import completion

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.errors import TraceError
from edit_rrm.guards import GuardResult
from edit_rrm.judges import TrainedProfile
from edit_rrm.judges.judge import Judgement, Written
from edit_rrm.judges.profiled import ProfiledJudge
from edit_rrm.principles import numbered
from edit_rrm.traces import render_trace
from edit_rrm.verdict_probability import met_probability
from edit_rrm_server.engines.engine import Completion, Token
from edit_rrm_server.scoring.judging import candidate_answer, refused_by_guard

PRINCIPLES = numbered([("follow", "is it blue?"), ("keep", "is the rest the same?")])


JUDGE = ProfiledJudge(TrainedProfile())


def judged(answer: Completion, aggregator: AggregatorName = "model_score") -> Judgement:
    (ask,) = JUDGE.asks("make it blue", PRINCIPLES, 1)
    reading = JUDGE.read(ask, Written(answer.text, answer.tokens), PRINCIPLES)
    return JUDGE.judgement([reading], PRINCIPLES, aggregator)


def sample(score: float, *met: bool) -> Judgement:
    return judged(completion(render_trace([(f"evidence {score:g}", m) for m in met], score)))


@pytest.mark.parametrize(
    ("text", "alternatives", "expected"),
    [
        ("1", {"0": math.log(0.2)}, 0.75),  # 0.6 against 0.2
        ("0", {"1": math.log(0.2)}, 0.25),
        (
            " 1",
            {" 0": math.log(0.2), "0": math.log(0.19)},
            0.75,
        ),  # the digit is swapped in the token's own text
    ],
)
def test_the_probability_of_met_is_renormalised_over_the_two_verdict_tokens(
    text: str, alternatives: dict[str, float], expected: float
) -> None:
    token = Token(text, 5, math.log(0.6), alternatives)
    assert met_probability([token], 5 + len(text) - 1) == pytest.approx(expected)


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [Token("10", 0, -0.1, {"00": -2.0})],
        [Token("yes", 0, -0.1, {"no": -2.0})],
        [Token("1", 0, None, {"0": -2.0})],
        [Token("1", 0, math.log(0.9), {"x": math.log(0.06), " 0": math.log(0.01)})],
        [Token("1", 0, 0.0, {})],
    ],
    ids=["no token there", "not a lone digit", "no digit", "no log-probability", "another spelling", "alone"],
)
def test_no_probability_is_made_up(tokens: list[Token]) -> None:
    assert met_probability(tokens, 0) is None


def test_rewards_and_scores_are_means_and_disagreement_is_their_spread() -> None:
    answer = candidate_answer([sample(4, True, True), sample(8, True, True)], PRINCIPLES, (), include=())
    assert (answer.score, answer.disagreement) == (6.0, 2.0)
    assert answer.reward == pytest.approx(0.6)


def test_verdicts_are_majorities_and_a_tie_is_not_met() -> None:
    samples = [sample(4, True, True), sample(6, False, True), sample(8, True, False), sample(2, False, True)]
    answer = candidate_answer(samples, PRINCIPLES, (), include=())
    assert [v.met for v in answer.verdicts] == [False, True]
    assert [v.evidence for v in answer.verdicts] == ["evidence 6", "evidence 4"]  # the first that agrees
    assert [v.probability for v in answer.verdicts] == pytest.approx([0.5, 0.7])  # means of 0.9 and 0.1
    assert answer.average == 0.5
    assert {c.value: m for c, m in answer.categories.items()} == {"follow": 0.0, "keep": 1.0}


def test_a_guard_caps_the_reward_and_leaves_the_score() -> None:
    fired = (GuardResult("border", True, 0.1, decides=True),)
    told = (GuardResult("border", True, 0.1, note="the instruction asks for a frame or bars"),)
    capped = candidate_answer([sample(9, True, True)], PRINCIPLES, fired, include=())
    assert (capped.reward, capped.score, capped.samples[0].reward) == (0.5, 9.0, 0.9)
    reported = candidate_answer([sample(9, True, True)], PRINCIPLES, told, include=())
    assert (reported.reward, reported.guards[0].note) == (0.9, told[0].note)
    low = candidate_answer([sample(2, True, True)], PRINCIPLES, fired, include=())
    assert low.reward == 0.2  # a cap, not a grant


def test_a_guard_that_decides_leaves_nothing_of_the_model() -> None:
    answer = refused_by_guard((GuardResult("no_edit", True, 0.0),))
    assert (answer.reward, answer.score, answer.average, answer.verdicts, answer.samples) == (
        0.0,
        0.0,
        None,
        [],
        [],
    )


def test_extras_come_only_when_asked_for() -> None:
    one = [sample(4, True, True)]
    plain = candidate_answer(one, PRINCIPLES, (), include=()).samples[0]
    assert (plain.reasoning, plain.tokens) == (None, None)
    full = candidate_answer(one, PRINCIPLES, (), include=("reasoning", "tokens")).samples[0]
    assert full.reasoning == one[0].text
    assert full.tokens is not None
    assert "".join(token["text"] for token in full.tokens) == full.reasoning


def test_a_soft_reward_without_probabilities_is_a_failure() -> None:
    text = render_trace([("a", True), ("b", True)], 5.0)
    bare = completion(text)
    blind = bare.__class__(text, (), 1, 0, 1, "stop")
    with pytest.raises(TraceError, match="probability"):
        judged(blind, "soft")
    assert judged(bare, "soft").reward == pytest.approx(0.9)
