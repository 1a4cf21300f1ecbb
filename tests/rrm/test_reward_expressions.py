"""Reward expressions: what they compute, what is refused when the file is read; and its range."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edit_rrm.errors import JudgeError, TraceError
from edit_rrm.judges.forms.expressions import MAX_CHARS, MAX_DEPTH, Expression

NAMES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", 0.25),
        ("mean(a, b)", 0.625),
        ("min(a, b)", 0.25),
        ("max(a, b)", 1.0),
        ("product(a, b, c)", 0.125),
        ("geometric_mean(a, b)", 0.5),
        ("sqrt(min(a, b) * min(b, a))", 0.25),
        ("0.5 * a + 0.5 * b", 0.625),
        ("(0.2 + 0.8 * a) * (0.6 + 0.4 * c)", 0.32),
        ("1 - a", 0.75),
        ("b - (-a) - a", 1.0),
        ("c ** 2", 0.25),
        ("a / (a + 1)", 0.2),
        ("\n  mean(a,\n       b)\n", 0.625),
    ],
)
def test_an_expression_has_the_value_of_its_arithmetic(text: str, value: float) -> None:
    assert Expression(text, NAMES).value({"a": 0.25, "b": 1.0, "c": 0.5}) == pytest.approx(value)


def test_the_names_it_reads_are_told_in_order_and_once() -> None:
    assert Expression("mean(c, a) * c", NAMES).names == ("c", "a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("d", "there is no subscore 'd'; there are a, b, c"),
        ("mean(a, b", "is no expression"),
        ("a b", "is no expression"),
        ("", "is no expression"),
        ("a\0", "is no expression"),
        ("median(a, b)", "is not allowed"),
        ("mean()", "is not allowed"),
        ("mean(*a)", "is not allowed"),
        ("mean(a, key=b)", "is not allowed"),
        ("sqrt(a, b)", "is not allowed"),
        ("a.real", "is not allowed"),
        ("a if b else c", "is not allowed"),
        ("a < b", "is not allowed"),
        ("[a][0]", "is not allowed"),
        ("a // 2", "is not allowed"),
        ("'x' * a", "is not allowed"),
        ("a * 1j", "is not allowed"),
        ("(lambda: a)()", "is not allowed"),
        ("a * True", "True is no number"),
        ("a ** b", "an exponent must be a number"),
        ("0.5", "reads no subscore"),
        ("2 * a", "'2 * a' is 2, outside [0, 1]"),
        ("a - b", "is -1, outside [0, 1]"),
        ("a / b", "has no value"),
        ("sqrt(a - 1)", "has no value"),
        ("(a - 1) ** 0.5", "has no value"),
        ("a + 1e999", "not a finite number"),
        ("10 ** 400 * a", "has no value"),
        ("a" * (MAX_CHARS + 1), f"at most {MAX_CHARS} characters"),
        ("-" * (MAX_DEPTH + 1) + "a", f"at most {MAX_DEPTH} deep"),
        ("(" * 240 + "a" + ")" * 240, "is no expression"),
    ],
)
def test_what_is_no_expression_is_refused_when_the_file_is_read(text: str, words: str) -> None:
    with pytest.raises(JudgeError) as caught:
        Expression(text, NAMES)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", ["mean(a, b)", "min(a, b)", "max(b, a)", "product(a, b)", "geometric_mean(b, a)"]
)
def test_a_function_leaves_out_what_the_judge_left_out(text: str) -> None:
    assert Expression(text, NAMES, optional=["b"]).value({"a": 0.25, "b": None}) == 0.25


@pytest.mark.parametrize(
    "text", ["b", "a * b", "1 - b", "sqrt(b)", "mean(a, 1 - b)", "mean(a, -b)", "mean(a, sqrt(b))"]
)
def test_what_the_judge_may_leave_out_stands_in_a_function_and_nowhere_else(text: str) -> None:
    with pytest.raises(JudgeError, match="may be left out"):
        Expression(text, NAMES, optional=["b"])


def test_a_function_of_nothing_but_missing_subscores_is_no_number() -> None:
    expression = Expression("mean(a, b)", NAMES, optional=["a", "b"])
    with pytest.raises(TraceError, match="no argument left"):
        expression.value({"a": None, "b": None})


def test_what_leaves_its_range_between_the_corners_is_refused_when_it_does() -> None:
    expression = Expression("8 * a * (1 - a)", NAMES)
    assert expression.value({"a": 0.0}) == 0.0
    with pytest.raises(TraceError, match="is 2, outside"):
        expression.value({"a": 0.5})


def test_a_score_reaches_up_to_its_own_highest_value() -> None:
    assert Expression("10 * sqrt(a * b)", NAMES, highest=10.0).value({"a": 1.0, "b": 0.25}) == 5.0
    with pytest.raises(JudgeError, match="outside"):
        Expression("25 * a", NAMES, highest=10.0)


def test_rounding_does_not_push_a_value_out_of_range() -> None:
    thirds = Expression("0.1 * a + 0.2 * a + 0.7 * a", NAMES)
    assert thirds.value({"a": 1.0}) == 1.0


@given(st.text(alphabet="abc()+-*/. ,01minmeasqrt", max_size=60))
def test_any_text_is_an_expression_or_an_error_of_ours(text: str) -> None:
    try:
        expression = Expression(text, NAMES)
    except JudgeError:
        return
    try:
        value = expression.value(dict.fromkeys(NAMES, 0.5))
    except TraceError:
        return
    assert 0.0 <= value <= 1.0


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_means_lie_between_their_smallest_and_their_largest_argument(values: list[float]) -> None:
    subscores = dict(zip(NAMES, values, strict=True))
    for function in ("mean", "geometric_mean", "min", "max"):
        value = Expression(f"{function}(a, b, c)", NAMES).value(subscores)
        assert min(values) <= value + 1e-9
        assert value <= max(values) + 1e-9
        assert math.isfinite(value)
