"""The five answer forms: which texts are read as which numbers, and which are refused."""

import json
import math
from typing import Any

import pytest
from growth import assert_grows_as_its_text
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from edit_rrm.errors import TraceError
from edit_rrm.judges.forms.answers import (
    AnswerForm,
    DigitExpectation,
    JsonScores,
    LabelledScores,
    TraceForm,
    YesNo,
)
from edit_rrm.tokens import Token

PAIR = JsonScores(form="json_scores", range=(0, 20), subscores=("success", "restraint"))
ONE = JsonScores(form="json_scores", range=(1, 5), subscores=("execution",), whole=True, as_list=True)
LINES = LabelledScores(
    form="labelled_scores",
    range=(1, 5),
    labels={"compliance": ("Prompt Compliance",), "detail": ("Physical & Detail Integrity", "Detail")},
    optional=("detail",),
)
SECTIONS = LabelledScores(
    form="labelled_scores",
    range=(1, 4),
    labels={"text": ("Text Faithfulness",), "lettering": ("Text Rendering",)},
    optional=("lettering",),
    number_label="Score",
)
DIGIT = DigitExpectation(form="digit_expectation", digits=(0, 1, 2, 3, 4, 5))
VERDICT = YesNo(form="yes_no")


def token(text: str, **alternatives: float) -> list[Token]:
    """One written token and others that it might have been, by their probabilities."""
    shown = {spelled.replace("_", " "): math.log(p) for spelled, p in alternatives.items()}
    return [Token(text, 0, shown.pop(text), shown)]


# JSON


@pytest.mark.parametrize(
    ("text", "success", "restraint"),
    [
        ('{"reasoning": "fine", "score": [20, 10]}', 1.0, 0.5),
        ('{"score": [5, 0], "reasoning": "poor"}', 0.25, 0.0),
        ('Here you are:\n```json\n{"reasoning": "ok", "score": [10.5, 20.0]}\n```', 0.525, 1.0),
        ("{'reasoning': 'it's fine', 'score': [4, 8],}", 0.2, 0.4),
        ('{"reasoning": "the "new" hat", "score": ["16", "12/20"]}', 0.8, 0.6),
        ('{"Reasoning": "x", "Score": [20, 20]}', 1.0, 1.0),
        ('{"reasoning": "x", "score": [2, 4]}\n{"reasoning": "again", "score": [2, 4]}', 0.1, 0.2),
        ('[{"reasoning": "in a list", "score": [2, 4]}]', 0.1, 0.2),
        ('{"reasoning": "a box at [12, 40, 80, 90]", "score": [2, 4]}', 0.1, 0.2),
        ('{"reasoning": "unclosed", "score": [2, 4]', 0.1, 0.2),
        ("[20, 10]", 1.0, 0.5),
        ("```\n[20, 10]\n```", 1.0, 0.5),
        ("The box [1, 2] is red.\nOutput score = [20, 10]", 1.0, 0.5),
        ("**Score**: [20, 10]", 1.0, 0.5),
    ],
)
def test_json_scores_are_read_out_of_what_models_write(text: str, success: float, restraint: float) -> None:
    assert PAIR.read(text, ()) == pytest.approx({"success": success, "restraint": restraint})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON object with 'score'"),
        ("I cannot judge this.", "no JSON object with 'score'"),
        ('{"reasoning": "no number"}', "no JSON object with 'score'"),
        ('{"scores": [20, 20]}', "no JSON object with 'score'"),
        ("the boxes [20, 10] overlap", "no JSON object with 'score'"),
        ("score = [20, 10], or score = [10, 10]", "stands there 2 times"),
        ("an underscore: [20, 10]", "no JSON object with 'score'"),
        ("[20, 10] or [10, 10]", "no JSON object with 'score'"),
        ('{"result": {"score": [20, 10]}}', "no JSON object with 'score'"),
        ('{"score": []}', "expected 2 numbers under 'score', got 0"),
        ('{"score": 20}', "expected 2 numbers under 'score', got 1"),
        ('{"score": [20, 10, 5]}', "expected 2 numbers under 'score', got 3"),
        ('{"score": [[20], [10]]}', "success is no number"),
        ('{"score": [score1, score2]}', "success is no number: 'score1'"),
        ('{"score": [null, 10]}', "success is no number: 'null'"),
        ('{"score": [true, 10]}', "success is no number: 'true'"),
        ('{"score": ["15-20", 10]}', "success is no number: '15-20'"),
        ('{"score": ["8/10", 10]}', "success is no number: '8/10'"),
        ('{"score": [1e1, 10]}', "success is no number: '1e1'"),
        ('{"score": [21, 10]}', "success is 21, outside [0, 20]"),
        ('{"score": [20, -1]}', "restraint is -1, outside [0, 20]"),
        ('{"score": [20, 10]} no: {"score": [10, 10]}', "stands there 2 times"),
        ('{"score": [20, 10], "score": [10, 10]}', "stands there 2 times"),
    ],
)
def test_a_number_that_json_does_not_hold_is_refused(text: str, words: str) -> None:
    with pytest.raises(TraceError) as caught:
        PAIR.read(text, ())
    assert words in str(caught.value)
    assert caught.value.text == text


@pytest.mark.parametrize(
    ("text", "value"), [('{"score": [4]}', 0.75), ('{"score": 5}', 1.0), ('{"score": "1/5"}', 0)]
)
def test_a_single_number_may_stand_in_a_list_or_alone(text: str, value: float) -> None:
    assert ONE.read(text, ()) == {"execution": value}


def test_a_fraction_is_refused_where_numbers_are_whole() -> None:
    assert ONE.read('{"score": [4.0]}', ()) == {"execution": 0.75}
    with pytest.raises(TraceError, match=r"4\.5, and this judge gives whole numbers"):
        ONE.read('{"score": [4.5]}', ())


def test_a_grammar_is_told_order_count_and_range() -> None:
    schema = PAIR.json_schema()
    assert list(schema["properties"]) == ["reasoning", "score"]  # type: ignore[call-overload]
    assert schema["properties"]["score"] == {  # type: ignore[index]
        "type": "array",
        "items": {"type": "number", "minimum": 0.0, "maximum": 20.0},
        "minItems": 2,
        "maxItems": 2,
    }
    last = PAIR.model_copy(update={"reasoning": "last"}).json_schema()
    assert last["required"] == ["score", "reasoning"]
    none = PAIR.model_copy(update={"reasoning": "none"}).json_schema()
    assert none["required"] == ["score"]
    whole = {"type": "integer", "minimum": 1.0, "maximum": 5.0}
    assert ONE.json_schema()["properties"]["score"] == {  # type: ignore[index]
        "type": "array",
        "items": whole,
        "minItems": 1,
        "maxItems": 1,
    }
    alone = ONE.model_copy(update={"as_list": False}).json_schema()
    assert alone["properties"]["score"] == whole  # type: ignore[index]


@given(st.lists(st.integers(0, 20), min_size=2, max_size=2), st.text(max_size=80))
def test_any_reasoning_leaves_the_numbers_as_they_are(numbers: list[int], reasoning: str) -> None:
    text = json.dumps({"reasoning": reasoning, "score": numbers})
    assert PAIR.read(text, ()) == {"success": numbers[0] / 20, "restraint": numbers[1] / 20}


@given(st.text(max_size=200))
def test_any_text_is_numbers_or_an_error_of_ours(text: str) -> None:
    for form in (PAIR, ONE, LINES, SECTIONS):
        try:
            found = form.read(text, ())
        except TraceError:
            continue
        assert all(value is None or 0.0 <= value <= 1.0 for value in found.values())


# Lines and sections


@pytest.mark.parametrize(
    ("text", "compliance", "detail"),
    [
        ("Prompt Compliance: 5\nPhysical & Detail Integrity: 3", 1.0, 0.5),
        ("Brief reasoning: 2 hats, fine.\nprompt compliance: 4.5.\nDETAIL: 1", 0.875, 0.0),
        ("**Prompt Compliance:** 3\n**Physical & Detail Integrity:** `2`", 0.5, 0.25),
        ("- **Prompt Compliance**: 3/5\n- Detail: 2 out of 5", 0.5, 0.25),
        ("1. **1. Prompt Compliance (1-5):** 3 (mostly)\n2. Detail: 2 – soft edges", 0.5, 0.25),
        ("## Prompt Compliance: 3\n### Detail: N/A", 0.5, None),
        ("Prompt Compliance: 3\nDetail: N/A (no detail)", 0.5, None),
        ("Prompt Compliance: 3\nDetail: none – no detail", 0.5, None),
        ("Prompt Compliance：3\nDetail：not applicable", 0.5, None),
        ('"Prompt Compliance": 3,\n"Detail": "2",', 0.5, 0.25),
        ("Prompt Compliance: 3\nDetail: 2\nPrompt Compliance: 3", 0.5, 0.25),
        ("Prompt Compliance: the hat is there, so\nPrompt Compliance: 3\nDetail: 2", 0.5, 0.25),
    ],
)
def test_labelled_lines_are_read_with_what_stands_around_them(
    text: str, compliance: float, detail: float | None
) -> None:
    assert LINES.read(text, ()) == {"compliance": compliance, "detail": detail}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no number for compliance, detail"),
        ("Prompt Compliance: 3", "no number for detail"),
        ("Prompt Compliance: good\nDetail: 2", "no number for compliance"),
        ("The Prompt Compliance: 3\nDetail: 2", "no number for compliance"),
        ("Prompt Compliance 3\nDetail: 2", "no number for compliance"),
        ("Prompt Compliance: N/A\nDetail: 2", "compliance is N/A, which this judge does not allow"),
        ("Prompt Compliance: 6\nDetail: 2", "compliance is 6, outside [1, 5]"),
        ("Prompt Compliance: 0\nDetail: 2", "compliance is 0, outside [1, 5]"),
        ("Prompt Compliance: 3\nPrompt Compliance: 4\nDetail: 2", "compliance stands there twice"),
        ("Prompt Compliance: 3\nDetail: 2\nDetail: N/A", "detail stands there twice"),
        ("Prompt Compliance: 3 or 4\nDetail: 2", "compliance is no number: '3 or 4'"),
        ("Prompt Compliance: 3-4\nDetail: 2", "compliance is no number: '3-4'"),
        ("Prompt Compliance: 3 – 4\nDetail: 2", "compliance is no number: '3 – 4'"),
        ("Prompt Compliance: 3/10\nDetail: 2", "compliance is no number: '3/10'"),
        ("Prompt Compliance: 3,5\nDetail: 2", "compliance is no number: '3,5'"),
    ],
)
def test_a_line_without_its_number_is_refused(text: str, words: str) -> None:
    with pytest.raises(TraceError) as caught:
        LINES.read(text, ())
    assert words in str(caught.value)


def test_in_sections_the_number_belongs_to_the_heading_above_it() -> None:
    text = (
        "# Analysis\nText Faithfulness is what counts.\n# Detailed Judgement\n"
        "1. Text Faithfulness:\n## Justification: 3 of 4 hats are red. Score high.\n## Score: 2.5\n"
        "**4. Text Rendering** (only if asked for)\n## Justification: none\n## Score: N/A\n"
        "# Summary: good\n## Score: 4"
    )
    assert SECTIONS.read(text, ()) == {"text": 0.5, "lettering": None}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("## Score: 3\n1. Text Faithfulness:\n4. Text Rendering:\n## Score: 2", "no number for text"),
        (
            "1. Text Faithfulness:\n## Score: 3\n## Score: 2\nText Rendering:\n## Score: 2",
            "stands there twice",
        ),
        ("1. Text Faithfulness:\n## Score: [ float score ]", "text is no number: 'float score'"),
        ("1. Text Faithfulness:\n## Score: high", "text is no number: 'high'"),
        ("1. Text Faithfulness:\n## Score: 4.5\nText Rendering:\n## Score: 2", "text is 4.5, outside [1, 4]"),
    ],
)
def test_a_section_without_its_number_is_refused(text: str, words: str) -> None:
    with pytest.raises(TraceError) as caught:
        SECTIONS.read(text, ())
    assert words in str(caught.value)


def test_in_sections_a_number_may_stand_behind_the_heading() -> None:
    assert SECTIONS.read("Text Faithfulness: 4\nText Rendering: N/A", ()) == {"text": 1.0, "lettering": None}


# One token


def test_a_digit_counts_by_its_expectation() -> None:
    assert DIGIT.read("4", token("4", **{"4": 0.5, "5": 0.25, "2": 0.25})) == {"answer": pytest.approx(0.75)}


def test_other_tokens_leave_the_digits_shares_among_each_other() -> None:
    found = DIGIT.read("5", token("5", **{"5": 0.6, "0": 0.2, "The": 0.2}))
    assert found == {"answer": pytest.approx(0.75)}


def test_a_space_before_the_digit_is_no_other_digit() -> None:
    assert DIGIT.read("5", token("5", **{"5": 0.3, "_5": 0.3, "0": 0.4})) == {"answer": pytest.approx(0.6)}


def test_yes_and_no_count_by_their_shares() -> None:
    assert VERDICT.read("yes", token("yes", yes=0.6, Yes=0.15, no=0.25)) == {"answer": pytest.approx(0.75)}
    assert VERDICT.read("Yes", token("Yes", Yes=1.0)) == {"answer": 1.0}


@pytest.mark.parametrize("form", [DIGIT, VERDICT])
def test_a_model_that_writes_something_else_is_refused(form: DigitExpectation | YesNo) -> None:
    with pytest.raises(TraceError, match="the model answers something else"):
        form.read("The", token("The", The=0.9, **{"4": 0.05, "yes": 0.05}))
    patient = form.model_copy(update={"least_mass": 0.01})
    assert patient.read("The", token("The", The=0.9, **{"4": 0.05, "yes": 0.05}))


@pytest.mark.parametrize("tokens", [[], [Token("4", 0, None)]])
def test_without_log_probabilities_there_is_no_number(tokens: list[Token]) -> None:
    with pytest.raises(TraceError, match="no log-probability"):
        DIGIT.read("4", tokens)


def test_one_token_is_written_and_its_texts_are_watched() -> None:
    assert DIGIT.max_tokens == VERDICT.max_tokens == 1
    assert DIGIT.watched == tuple(f"{space}{digit}" for digit in range(6) for space in ("", " "))
    assert VERDICT.watched == ("yes", " yes", "Yes", " Yes", "no", " no", "No", " No")


@given(st.lists(st.floats(0.01, 1), min_size=6, max_size=6))
def test_an_expectation_lies_between_the_lowest_and_the_highest_digit(weights: list[float]) -> None:
    total = sum(weights)
    shares = {str(digit): weight / total for digit, weight in enumerate(weights)}
    (value,) = DIGIT.read("0", token("0", **shares)).values()
    assert value == pytest.approx(sum(int(d) * p for d, p in shares.items()) / 5)


# What a file may say


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"form": "essay"}, "does not match any of the expected tags"),
        ({"form": "json_scores", "range": [0, 10]}, "Field required"),
        ({"form": "json_scores", "range": [0, 10], "subscores": []}, "at least 1 item"),
        ({"form": "json_scores", "range": [10, 0], "subscores": ["a"]}, "the lower first, got [10, 0]"),
        ({"form": "json_scores", "range": [5, 5], "subscores": ["a"]}, "the lower first, got [5, 5]"),
        ({"form": "json_scores", "range": [0, math.inf], "subscores": ["a"]}, "the lower first"),
        ({"form": "json_scores", "range": [0, math.nan], "subscores": ["a"]}, "the lower first"),
        ({"form": "json_scores", "range": [0, 5], "subscores": ["A b"]}, "String should match pattern"),
        ({"form": "json_scores", "range": [0, 5], "subscores": ["a"], "scale": 5}, "Extra inputs"),
        ({"form": "labelled_scores", "range": [1, 5], "labels": {}}, "at least 1 item"),
        ({"form": "labelled_scores", "range": [1, 5], "labels": {"a": []}}, "'a' has no label"),
        ({"form": "labelled_scores", "range": [1, 5], "labels": {"a": ["**"]}}, "a label is empty"),
        (
            {"form": "labelled_scores", "range": [1, 5], "labels": {"a": ["X-Y"], "b": ["x y"]}},
            "stands for two things",
        ),
        (
            {"form": "labelled_scores", "range": [1, 5], "labels": {"a": ["Score"]}, "number_label": "score"},
            "stands for two things",
        ),
        (
            {"form": "labelled_scores", "range": [1, 5], "labels": {"a": ["A"]}, "optional": ["b"]},
            "optional names 'b', which has no label",
        ),
        ({"form": "digit_expectation", "digits": [3]}, "at least 2 items"),
        ({"form": "digit_expectation", "digits": [0, 2, 1]}, "digits rise, each once"),
        ({"form": "digit_expectation", "digits": [0, 0, 1]}, "digits rise, each once"),
        ({"form": "digit_expectation", "digits": [0, 10]}, "less than or equal to 9"),
        ({"form": "digit_expectation", "least_mass": 1.5}, "less than or equal to 1"),
        ({"form": "yes_no", "yes": []}, "at least 1 item"),
        ({"form": "yes_no", "yes": ["ok"], "no": [" ok"]}, "all different"),
        ({"form": "yes_no", "yes": [" "]}, "none is empty"),
        ({"form": "trace", "format": "2"}, "Input should be '1' or 'json'"),
    ],
)
def test_a_form_that_cannot_be_is_refused(form: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AnswerForm).validate_python(form)
    assert words in str(caught.value)


def test_only_a_trace_and_single_verdicts_are_about_principles() -> None:
    assert TraceForm(form="trace").gives_verdicts
    assert not any(form.gives_verdicts for form in (PAIR, ONE, LINES, SECTIONS, DIGIT, VERDICT))
    assert LINES.optional_names == ("detail",)


@pytest.mark.parametrize(
    ("form", "piece"),
    [
        (PAIR, '{"score": ['),
        (LINES, "Prompt Compliance: ("),
        (LINES, "Prompt Compliance: 3\n"),
        (SECTIONS, "Score: 1 ("),
        (SECTIONS, "1. - "),
    ],
)
def test_reading_takes_time_in_proportion_to_the_text(form: JsonScores | LabelledScores, piece: str) -> None:
    def read(text: str) -> None:
        with pytest.raises(TraceError):
            form.read(text, ())

    assert_grows_as_its_text(read, "", piece)
