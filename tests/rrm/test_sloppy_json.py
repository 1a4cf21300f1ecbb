"""The JSON reader: what it forgives, where it says things stand, and that it always ends."""

import json
from typing import Any

import pytest
from growth import assert_grows_as_its_text
from hypothesis import given
from hypothesis import strategies as st

from edit_rrm.judges.texts.sloppy_json import Array, Object, Scalar, Value, find_blocks


def plain(value: Value) -> Any:
    """The value with every scalar as text."""
    if isinstance(value, Scalar):
        return value.text
    if isinstance(value, Array):
        return [plain(item) for item in value.items]
    return {key: plain(item) for key, item in value.pairs}


def only(text: str) -> Any:
    (block,) = find_blocks(text)
    return plain(block.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": [true, null, 0.5]}', {"a": "1", "b": ["true", "null", "0.5"]}),
        ('Sure:\n```json\n{"a": "x"}\n```\nDone.', {"a": "x"}),
        ("{'a': 'the dog's tail', 'b': 'x'}", {"a": "the dog's tail", "b": "x"}),
        ('{"a": 1, "b": 2,}', {"a": "1", "b": "2"}),
        ("[1, 2,, 3,]", ["1", "2", "3"]),
        ('{"a": 1 "b": 2}', {"a": "1", "b": "2"}),
        ('[{"a": 1}\n{"a": 2}]', [{"a": "1"}, {"a": "2"}]),
        ("{a: not met, b: True}", {"a": "not met", "b": "True"}),
        ('{"a": "it says "OPEN" now", "b": 1}', {"a": 'it says "OPEN" now', "b": "1"}),
        ('{"a": "it says "OPEN"", "b": 1}', {"a": 'it says "OPEN"', "b": "1"}),
        ('{"a": "reads "OPEN", as asked", "b": 1}', {"a": 'reads "OPEN", as asked', "b": "1"}),
        (r'{"a": "tab\t \"q\" \u00e9 \\", "b": 1}', {"a": 'tab\t "q" é \\', "b": "1"}),
        (r'{"a": "a \'quoted\' \d word"}', {"a": r"a 'quoted' \d word"}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ('{"a": [1, 0], "b": 0.5\n<score>8</score>', {"a": ["1", "0"], "b": "0.5"}),
        ('{"a": [1, {"b": "x"', {"a": ["1", {"b": "x"}]}),
        ("{}", {}),
        ("[]", []),
    ],
)
def test_sloppiness_is_forgiven(text: str, value: Any) -> None:
    assert only(text) == value


def test_prose_and_fragments_are_passed_over() -> None:
    text = r'Set {x | x > 0}, \frac{1}{2}, {oops} then {"a": 1} and [0, 1].'
    assert [plain(block.value) for block in find_blocks(text)] == [{"a": "1"}, ["0", "1"]]


def test_offsets_point_at_the_first_character_of_a_value() -> None:
    text = 'x {"a": "1", "b": 0, "c": [yes]}'
    (block,) = find_blocks(text)
    assert isinstance(block.value, Object)
    one, zero, array = (value for _, value in block.value.pairs)
    assert isinstance(one, Scalar)
    assert isinstance(zero, Scalar)
    assert isinstance(array, Array)
    assert (text[one.start], text[zero.start]) == ("1", "0")
    assert array.items == (Scalar("yes", text.index("yes")),)
    assert (text[block.start], text[block.end :]) == ("{", "")


def test_a_repeated_key_is_kept() -> None:
    (block,) = find_blocks('{"a": 1, "a": 2}')
    assert isinstance(block.value, Object)
    assert [key for key, _ in block.value.pairs] == ["a", "a"]


def test_reading_starts_where_told() -> None:
    text = '{"a": 1} {"b": 2}'
    assert [plain(block.value) for block in find_blocks(text, 3)] == [{"b": "2"}]


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
documents = st.recursive(
    words | st.integers(0, 10).map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(words, documents, max_size=4) | st.lists(documents, max_size=4), st.booleans())
def test_correct_json_is_read_as_json(value: Any, indented: bool) -> None:
    assert only(json.dumps(value, indent=2 if indented else None)) == value


@given(st.text(st.sampled_from("[]{}\"':,\\ \nab01<score>"), max_size=120))
def test_any_text_is_read_to_an_end_with_blocks_in_order(text: str) -> None:
    blocks = find_blocks(text)
    ends = [0]
    for block in blocks:
        assert text[block.start] in "[{"
        assert ends[-1] <= block.start < block.end <= len(text)
        ends.append(block.end)


GARBAGE = [
    "[", "{", '{"a":', '["', '[1,"xx ', '" ', '\\"', "\\", "\n", "a ", "[a b ", ",", '",',
    "{'a':'b' 'c' ", '["",""',
    '{"a":"b\n"', "[',a", '[{"a":[', '"\n', "[\"\\",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("unit", GARBAGE)
@pytest.mark.parametrize("opening", ["", '["', "{'a': '", "["])
def test_a_hundred_kilobytes_of_garbage_take_time_as_their_length(unit: str, opening: str) -> None:
    assert_grows_as_its_text(find_blocks, opening, unit)
