"""Every judge there is (ours, of files, imported) against texts and tokens that no model should write.

Whatever comes is a sample in range, or one error of ours. benchmarks/fuzz_judges.py reads many more.
"""

import math
import random
from contextlib import suppress
from typing import get_args

import pytest
from hostile_texts import (
    LISTS,
    LONGEST_TOKEN,
    NAMES,
    PIECES,
    QUESTIONS,
    WHOLE,
    WORDS,
    every_judge,
    hostile_text,
    hostile_tokens,
    out_of_range,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.errors import DecompositionError, TraceError
from edit_rrm.judges.importing import IMPORTERS
from edit_rrm.judges.judge import Judge, Written
from edit_rrm.judges.shelf import find_judge, judge_names
from edit_rrm.judges.trained import MAX_PRINCIPLES
from edit_rrm.tokens import Token
from edit_rrm.verdict_probability import met_probability

texts = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from([*PIECES, *WHOLE, *LISTS]), max_size=14).map("".join),
    st.builds(
        lambda text, at, length, piece: text[: at % len(text)] + piece + text[at % len(text) + length :],
        st.sampled_from([*WHOLE, *LISTS]),
        st.integers(0, 200),
        st.integers(0, 6),
        st.sampled_from(["", *PIECES]),
    ),
)
logprobs = st.sampled_from([0.0, -0.1, -1.0, -50.0, -math.inf, math.nan, 1e-6, 800.0]) | st.floats(-20, 0)


@st.composite
def tokens_of(draw: st.DrawFn, text: str) -> tuple[Token, ...]:
    """Tokens that write the text, with probabilities that are none of it, or none at all."""
    tokens, at = [], 0
    while at < len(text):
        piece = text[at : at + draw(st.integers(1, LONGEST_TOKEN))]
        shown = draw(st.dictionaries(st.sampled_from(WORDS), logprobs, max_size=3))
        tokens.append(Token(piece, at, draw(st.none() | logprobs), shown))
        at += len(piece)
    return tuple(tokens)


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judge]:
    return every_judge(tmp_path_factory.mktemp("checkouts"))


def test_every_judge_that_can_be_chosen_or_imported_is_read(judges: dict[str, Judge]) -> None:
    assert set(judges) == set(NAMES)
    assert set(judge_names()) | set(IMPORTERS) < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
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
        assert out_of_range(judge.judgement(readings, principles, aggregator)) == []


@pytest.mark.parametrize("name", ["trained", "zero_shot"])
@settings(deadline=None, max_examples=200)
@given(text=texts, opened=st.sampled_from([None, True, False]), whole=st.booleans())
def test_whatever_is_written_of_principles_is_a_list_of_them_or_an_error_of_ours(
    name: str, text: str, opened: bool | None, whole: bool
) -> None:
    with suppress(DecompositionError):
        found = find_judge(name).decomposition.parse_principles(text, opened=opened, whole=whole)
        assert 1 <= len(found) <= MAX_PRINCIPLES
        assert len({principle.id for principle in found}) == len(found)
        assert all(principle.question.strip() for principle in found)


def test_the_lists_of_principles_are_read() -> None:
    """So that the fuzzing begins where answers are."""
    for name in ("trained", "zero_shot"):
        read = 0
        for text in LISTS:
            with suppress(DecompositionError):
                read += len(find_judge(name).decomposition.parse_principles(text)) == 3
        assert read, name


def test_the_long_run_s_texts_reach_answers_too(judges: dict[str, Judge]) -> None:
    """Of those that benchmarks/fuzz_judges.py draws some are read by each judge that reads whole texts."""
    draw, read = random.Random(5), dict.fromkeys(("trained", "zero_shot", "three_scores", "digit"), 0)
    for name in read:
        principles = QUESTIONS if judges[name].needs_principles else ()
        (ask, *_) = judges[name].asks("make it blue", principles, 1)
        for _ in range(300):
            text = hostile_text(draw)
            with suppress(TraceError):
                judges[name].read(ask, Written(text, hostile_tokens(draw, text)), principles)
                read[name] += 1
    assert all(read.values()), read


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
