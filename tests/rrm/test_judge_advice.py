"""What is said of a judge before it serves."""

from typing import Any

import pytest
from judge_contents import EACH, PRINCIPLES, TWO_ASKS, changed

from edit_rrm.judges.advice import SAMPLE_INSTRUCTION, advice, sample_asks
from edit_rrm.judges.shelf import find_judge
from edit_rrm.judges.spec import judge_spec
from edit_rrm.judges.written import WrittenJudge


def told(content: dict[str, Any], *changes: tuple[str, Any]) -> tuple[str, ...]:
    return advice(WrittenJudge(judge_spec(changed(content, *changes), "x")))


@pytest.mark.parametrize(
    "name", ["trained", "zero_shot", "digit", "principles_yes_no", "three_scores", "verdicts_only"]
)
def test_of_our_own_judges_there_is_nothing_to_say(name: str) -> None:
    assert advice(find_judge(name)) == ()


def test_a_candidate_before_the_text_is_told_with_what_stands_behind_it() -> None:
    semantics, quality = told(TWO_ASKS)
    words = "the candidate stands before 33 of 45 characters of text"
    assert semantics.startswith(f"ask 'semantics': {words}")
    assert "a group shares little" in semantics
    assert quality.startswith("ask 'quality': the candidate stands before 12 of 12")


def test_a_candidate_behind_the_text_shares_it() -> None:
    parts = ["Asked for: {instruction}", {"image": "source"}, {"image": "candidate"}]
    alone = ["Is it clean?", {"image": "candidate"}]
    assert told(TWO_ASKS, ("asks.0.messages.1.parts", parts), ("asks.1.messages.0.parts", alone)) == ()


def test_a_judge_that_never_shows_the_instruction_is_told() -> None:
    assert told(PRINCIPLES) == ()
    blind = told(PRINCIPLES, ("asks.0.messages.0.parts.1", "{principles}"))
    assert blind == ("no ask shows the {instruction}: every edit of an image is judged alike",)


def test_a_subscore_that_no_expression_reads_is_told() -> None:
    assert told(TWO_ASKS, ("reward", "success"))[-1] == "the reward does not read restraint, clean"
    assert not any(
        "does not read" in one for one in told(TWO_ASKS, ("reward", "success"), ("score", "restraint*clean"))
    )


def test_the_sample_has_principles_where_a_judge_needs_them() -> None:
    assert len(sample_asks(WrittenJudge(judge_spec(EACH, "x")))) == 3
    (ask,) = sample_asks(find_judge("digit"))
    assert any(SAMPLE_INSTRUCTION in part for m in ask.prompt.messages for part in m.parts)
