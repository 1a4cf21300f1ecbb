"""How words are read: verdicts, categories and numbers, in English and Chinese."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edit_rrm.judges.texts.wording import (
    category_of,
    leading_ordinal,
    lists_verdicts,
    met_of,
    ordinal_of,
    plain,
)
from edit_rrm.principles import Category


@pytest.mark.parametrize(
    "word", ["1", "1.0", " Yes.", "TRUE", "**met**", "passed", "✅", "是", "满足。", "１", "1 (met)",
    "yes: 1", "1 – met", "1 // met", "是（满足）", "1=yes=met"],
)  # fmt: skip
def test_met(word: str) -> None:
    assert met_of(word) is True


@pytest.mark.parametrize(
    "word", ["0", "no", "Not Met", "not_met", "not-met", "❌", "否", "不满足", "０", "0 (not met)",
    "no, unmet", "uncertain", "can't tell", "无法判断", "partially met", "0 - uncertain"],
)  # fmt: skip
def test_not_met_and_uncertain(word: str) -> None:
    assert met_of(word) is False


@pytest.mark.parametrize(
    "word", ["", "N/A", "null", "none", "不适用", "2", "10", "-1", "0.5", "1 (not met)", "yes/no", "0 or 1",
    "1, 0", "no changes", "yes, mostly", "met met met met", "1" + " " * 100 + "(met)", "\u0661", "基本满足"],
)  # fmt: skip
def test_what_is_neither(word: str) -> None:
    assert met_of(word) is None


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("follow", Category.FOLLOW),
        ("Instruction Fidelity", Category.FOLLOW),
        ("指令遵循", Category.FOLLOW),
        ("Feature Preservation", Category.KEEP),
        ("source fidelity", Category.KEEP),
        ("内容保持", Category.KEEP),
        ("Visual Quality & Fidelity", Category.QUALITY),
        ("realism and fidelity", Category.QUALITY),
        ("图像质量", Category.QUALITY),
        ("mood", None),
        ("", None),
    ],
)
def test_categories(name: str, category: Category | None) -> None:
    assert category_of(name) is category


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("2", 2), ("p2", 2), ("Principle 2:", 2), ("#2", 2), ("原则2", 2), ("第２条", 2)),
        *(("2x", None), ("", None), ("2" * 50, None), ("follow_2", None)),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    assert ordinal_of(text) == number


def test_a_question_is_compared_without_its_number() -> None:
    assert leading_ordinal("12. Is it blue?") == leading_ordinal("12、是蓝色吗？") == 12
    assert leading_ordinal("1.5 metres tall?") is None
    assert plain("2. Is it BLUE?") == plain("is it blue") == "isitblue"


def test_a_list_of_boxes_lists_no_verdicts() -> None:
    assert lists_verdicts("final_scores")
    assert lists_verdicts("判断结果")
    assert not lists_verdicts("result_box")
    assert not lists_verdicts("checks")


@given(st.text(max_size=80))
def test_any_word_is_read(word: str) -> None:
    assert met_of(word) in (True, False, None)
    assert category_of(word) in (*Category, None)
    assert ordinal_of(word) is None or ordinal_of(word) >= 0  # type: ignore[operator]
