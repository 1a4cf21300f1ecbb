"""An answer in one of our own two trace formats, read with the probabilities of its verdicts."""

from collections.abc import Sequence
from typing import Literal

from edit_rrm.errors import TraceError
from edit_rrm.judges.judge import Reading, Written
from edit_rrm.judges.texts.thinking import answer_start
from edit_rrm.judges.texts.zero_shot_answers import read_answer
from edit_rrm.principles import Principle
from edit_rrm.traces import PartialTrace, parse_trace
from edit_rrm.verdict_probability import met_probability


def read_trace_answer(
    trace_format: Literal["1", "json"], written: Written, principles: Sequence[Principle]
) -> Reading:
    """Verdicts, and the score where the text states one. Raises TraceError."""
    if trace_format == "json":
        return trace_reading(
            read_answer(written.text, principles, opened=written.opened, whole=True), written
        )
    start = answer_start(written.text, TraceError, opened=written.opened)
    return trace_reading(parse_trace(written.text, len(principles), start=start), written)


def trace_reading(trace: PartialTrace, written: Written) -> Reading:
    """A parsed trace with the probability of "met" at each verdict's digit."""
    probabilities = tuple(
        None if verdict.position is None else met_probability(written.tokens, verdict.position)
        for verdict in trace.verdicts
    )
    return Reading(
        trace.text,
        written.tokens,
        verdicts=trace.verdicts,
        probabilities=probabilities,
        score=trace.score,
    )
