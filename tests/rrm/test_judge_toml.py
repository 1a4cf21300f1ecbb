"""Judges written as TOML: read again they are the same, and prompts stand there as they read."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_contents import EACH, PRINCIPLES, TWO_ASKS

from edit_rrm.judges.importing.templates import literal
from edit_rrm.judges.spec import SLOT, judge_spec
from edit_rrm.judges.toml_text import judge_toml, toml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\\n\r\t{}'), max_size=30)
SCALARS = (
    TEXTS | st.integers(-(2**53), 2**53) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("content", [TWO_ASKS, PRINCIPLES, EACH])
def test_a_judge_is_the_same_when_its_file_is_read(content: dict[str, Any]) -> None:
    spec = judge_spec(content, "x")
    again = judge_spec(tomllib.loads(judge_toml(spec)), "x")
    assert again == spec
    assert again.version == spec.version


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_any_table_is_the_same_when_it_is_read(table: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(table)) == table


def test_lines_of_a_prompt_are_lines_of_the_file() -> None:
    text = toml_text({"asks": [{"parts": [{"image": "source"}, 'Look:\n"{"a": 1}"']}]})
    assert text == '[[asks]]\nparts = [\n{ image = "source" },\n"""\nLook:\n"{"a": 1}\\"""",\n]\n'


@given(st.text(alphabet="{}ab_ \n", max_size=30))
def test_a_literal_text_is_itself_in_a_prompt(text: str) -> None:
    written = literal(text)
    assert all(match[2] is None for match in SLOT.finditer(written))
    assert SLOT.sub(lambda m: f"{{{m[1]}}}", written) == text
