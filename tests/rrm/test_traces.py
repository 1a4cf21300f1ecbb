"""Trace format 1: what is rendered is read back, and everything else is refused by name of the fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edit_rrm.errors import TraceError
from edit_rrm.traces import Trace, Verdict, format_score, parse_trace, render_trace

GOOD = "1. red/blue differs => 0\n2. gray/gray same => 1\n3. clean => 1\naverage 0.67\n<score>3.5</score>"

evidence = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1, max_size=40)
findings = st.lists(st.tuples(evidence.filter(str.strip), st.booleans()), min_size=1, max_size=12)
scores = st.integers(0, 100).map(lambda tenths: tenths / 10)


def test_a_trace_is_read_as_verdicts_and_score() -> None:
    trace = parse_trace(GOOD, 3)
    assert [(v.met, v.evidence) for v in trace.verdicts] == [
        (False, "red/blue differs"),
        (True, "gray/gray same"),
        (True, "clean"),
    ]
    assert trace.score == 3.5
    assert trace.average == pytest.approx(2 / 3)
    assert trace.text == GOOD


def test_the_average_is_computed_whatever_the_model_wrote() -> None:
    assert parse_trace(GOOD.replace("0.67", "1.00"), 3).average == pytest.approx(2 / 3)


def test_positions_point_at_the_verdict_digits_also_after_leading_space() -> None:
    text = "\n  " + GOOD + "\n"
    assert [text[v.position or 0] for v in parse_trace(text, 3).verdicts] == ["0", "1", "1"]


def test_the_verdict_is_the_last_arrow_of_its_line() -> None:
    trace = parse_trace("1. a => 1 was claimed => 0\naverage 0.00\n<score>0.0</score>", 1)
    assert trace.verdicts == (Verdict(False, "a => 1 was claimed", 25),)


@given(findings, scores)
def test_rendered_traces_are_read_back(pairs: list[tuple[str, bool]], score: float) -> None:
    text = render_trace(pairs, score)
    trace = parse_trace(text, len(pairs))
    assert [(v.evidence, v.met) for v in trace.verdicts] == [(e.strip(), met) for e, met in pairs]
    assert [text[v.position or 0] for v in trace.verdicts] == [str(int(met)) for _, met in pairs]
    assert trace.score == score
    assert trace.average == pytest.approx(sum(met for _, met in pairs) / len(pairs))


@given(st.text(max_size=200), st.integers(1, 5))
def test_arbitrary_text_raises_nothing_but_trace_error(text: str, count: int) -> None:
    try:
        trace = parse_trace(text, count)
    except TraceError:
        return
    assert len(trace.verdicts) == count


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("0189. =><\n/\u0661x"))
def test_a_damaged_trace_is_refused_or_still_whole(at: int, character: str) -> None:
    try:
        trace = parse_trace(GOOD[:at] + character + GOOD[at + 1 :], 3)
    except TraceError:
        return
    assert len(trace.verdicts) == 3
    assert 0.0 <= trace.score <= 10.0


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD.replace("\naverage 0.67", ""), "expected 5 lines"),
        (GOOD + "\nand more", "expected 5 lines"),
        (GOOD.replace("2. gray", "3. gray"), "line 2 is not"),
        (GOOD.replace("2. gray", "\u0662. gray"), "line 2 is not"),
        (GOOD.replace("2. gray", "9" * 5000 + ". gray"), "line 2 is not"),
        (GOOD.replace("same => 1", "same => yes"), "line 2 is not"),
        (GOOD.replace("same => 1", "same => 1 "), "line 2 is not"),
        (GOOD.replace("average 0.67", "average 2.67"), "expected 'average"),
        (GOOD.replace("</score>", "<score>"), "expected '<score>"),
        (GOOD.replace("3.5", "nan"), "expected '<score>"),
        (GOOD.replace("3.5", "10.1"), "outside"),
        ("", "expected 5 lines"),
    ],
)
def test_a_fault_is_named(text: str, fault: str) -> None:
    with pytest.raises(TraceError, match=fault) as caught:
        parse_trace(text, 3)
    assert caught.value.text == text
    assert caught.value.code == "trace_unparseable"


def test_no_principle_is_no_trace() -> None:
    with pytest.raises(ValueError, match="at least one principle"):
        parse_trace("average 0.00\n<score>0.0</score>", 0)


@pytest.mark.parametrize(
    ("pairs", "score", "fault"),
    [
        ([], 1.0, "at least one"),
        ([("a", True)], 10.5, "score must lie"),
        ([("a", True)], float("nan"), "score must lie"),
        ([("a\nb", True)], 1.0, "one non-empty line"),
        ([("ok", True), ("  ", True)], 1.0, "evidence 2"),
    ],
)
def test_what_could_not_be_read_back_is_not_rendered(
    pairs: list[tuple[str, bool]], score: float, fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        render_trace(pairs, score)


def test_scores_are_written_with_one_decimal() -> None:
    assert [format_score(s) for s in (0, 6.25, 10)] == ["0.0", "6.2", "10.0"]


def test_an_average_needs_no_text() -> None:
    assert Trace((Verdict(True, "a"), Verdict(False, "b")), 5.0, "").average == 0.5
