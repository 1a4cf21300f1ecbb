"""Every judge there is (ours, of files, imported) against texts and tokens that no model should write.

Whatever comes is a sample in range, or one error of ours.
"""

import math
from contextlib import suppress
from typing import get_args

import pytest
from foreign_checkouts import write_checkouts
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_contents import EACH, PRINCIPLES, TWO_ASKS

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.errors import TraceError
from edit_rrm.judges.importing import IMPORTERS, import_judge
from edit_rrm.judges.judge import Judge, Judgement, Written
from edit_rrm.judges.shelf import find_judge, judge_names
from edit_rrm.judges.spec import judge_spec
from edit_rrm.judges.written import WrittenJudge
from edit_rrm.principles import numbered
from edit_rrm.tokens import Token
from edit_rrm.traces import render_trace
from edit_rrm.verdict_probability import met_probability

IMPORTED = [name for name in IMPORTERS if not name.startswith("imgedit-") or name == "imgedit-style"]
"""All of imgedit's have one form."""
QUESTIONS = numbered([("follow", "Is the car blue?"), ("keep", "Is the street the same?")])
WHOLE = [
    render_trace([("it is blue", True), ("it is wet now", False)], 6.0),
    '```json\n[{"principle": 1, "met": 1}, {"principle": 2, "met": 0}]\n```\n<score>6</score>',
    '{"reasoning": "x", "score": [8, 5, 7]}',
    '{"reasoning": "x", "score": [8]}',
    '{"score": [3]}',
    '{"score": [4, 4]}',
    "1. Text Faithfulness:\n## Score: 4.0\n2. Image Faithfulness:\n## Score: 1.0\n"
    "3. Physical and Visual Quality:\n## Score: 2.5\n4. Text Rendering:\n## Score: N/A",
    "Style Kept: 5\nContent & Layout: 3\nLooks Right: 4",
    "yes",
    "5",
]
PIECES = [
    '{"score": [', '"score":', "8", "-1", "1e999", "NaN", "Infinity", "11", "0.5", "９", "²", "½", "10/10",
    "[", "]", "{", "}", ",", ":", "\n", "<score>", "</score>", "<think>", "</think>", "◁/think▷", "→ 1",
    "→ 0", "1. ", "met", "yes", "no", "N/A", "```json", "```", '"', "\\", "\x00", "\ud800", "\u202e",
    "<|im_end|>", "9" * 400,
]  # fmt: skip
texts = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from([*PIECES, *WHOLE]), max_size=14).map("".join),
    st.builds(
        lambda text, at, length, piece: text[: at % len(text)] + piece + text[at % len(text) + length :],
        st.sampled_from(WHOLE),
        st.integers(0, 200),
        st.integers(0, 6),
        st.sampled_from(["", *PIECES]),
    ),
)
logprobs = st.sampled_from([0.0, -0.1, -1.0, -50.0, -math.inf, math.nan, 1e-6, 800.0]) | st.floats(-20, 0)
words = st.sampled_from(["0", "1", " 0", " 1", "5", "yes", " No", "", "é", "10"])


@st.composite
def tokens_of(draw: st.DrawFn, text: str) -> tuple[Token, ...]:
    """Tokens that write the text, with probabilities that are none of it, or none at all."""
    tokens, at = [], 0
    while at < len(text):
        piece = text[at : at + draw(st.integers(1, 9))]
        shown = draw(st.dictionaries(words, logprobs, max_size=3))
        tokens.append(Token(piece, at, draw(st.none() | logprobs), shown))
        at += len(piece)
    return tuple(tokens)


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judge]:
    root = tmp_path_factory.mktemp("checkouts")
    write_checkouts(root)
    found: dict[str, Judge] = {name: find_judge(name) for name in judge_names()}
    for content in (TWO_ASKS, PRINCIPLES, EACH):
        found[content["name"]] = WrittenJudge(judge_spec(content, "x"))
    for name in IMPORTED:
        found[name] = WrittenJudge(import_judge(name, root / IMPORTERS[name].repository.split("/")[1]))
    return found


def assert_in_range(found: Judgement) -> None:
    assert 0.0 <= found.reward <= 1.0
    assert 0.0 <= found.score <= 10.0
    assert all(value is None or 0.0 <= value <= 1.0 for value in found.subscores.values())
    assert all(p is None or 0.0 <= p <= 1.0 for p in found.probabilities)


@pytest.mark.parametrize("name", [*judge_names(), "two-asks", "by-principles", "each", *IMPORTED])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_whatever_is_written_is_a_sample_in_range_or_an_error_of_ours(
    judges: dict[str, Judge], name: str, data: st.DataObject
) -> None:
    judge = judges[name]
    principles = QUESTIONS if judge.needs_principles else ()
    aggregator = data.draw(st.sampled_from(get_args(AggregatorName)))
    with suppress(TraceError):
        readings = []
        for ask in judge.asks("make it blue", principles, 1):
            text, opened = data.draw(texts), data.draw(st.sampled_from([None, True, False]))
            written = Written(text, data.draw(tokens_of(text)), opened)
            readings.append(judge.read(ask, written, principles))
        assert_in_range(judge.judgement(readings, principles, aggregator))


def test_the_parsers_of_whole_answers_are_reached(judges: dict[str, Judge]) -> None:
    """Of each judge one of the whole texts is read, so that the fuzzing begins where answers are."""
    tokens = (Token("yes", 0, -0.1, {"no": -3.0, "5": -0.2, "1": -0.3}), Token("x", 3, None))
    for name, judge in judges.items():
        principles = QUESTIONS if judge.needs_principles else ()
        for ask in judge.asks("make it blue", principles, 1):
            read = 0
            for text in WHOLE:
                try:
                    judge.read(ask, Written(text, tokens), principles)
                except TraceError:
                    continue
                read += 1
            assert read, (name, ask.kind.name)


@pytest.mark.parametrize("broken", [math.nan, -math.inf, math.inf])
def test_probabilities_of_a_broken_model_are_none(broken: float) -> None:
    """Logits that are no numbers, as of half-precision weights that overflow."""
    shown = (Token("1", 0, broken, {"0": broken}),)
    assert met_probability(shown, 0) is None
    digit, each = find_judge("digit"), find_judge("principles_yes_no")
    for judge, text, other in ((digit, "5", "4"), (each, "yes", "no")):
        ask = judge.asks("make it blue", QUESTIONS[:1], 1)[0]
        token = Token(text, 0, min(broken, 0.0) if broken < 0 else math.nan, {other: math.nan})
        with pytest.raises(TraceError, match="answers something else"):
            judge.read(ask, Written(text, (token,)), QUESTIONS[:1])
