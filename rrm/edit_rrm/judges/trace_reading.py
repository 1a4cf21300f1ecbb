"""An answer in one of our own two trace formats, read with the probabilities of its verdicts."""

from collections.abc import Sequence
from typing import Literal

from edit_rrm.judges.judge import Reading
from edit_rrm.judges.zero_shot_answers import read_trace
from edit_rrm.principles import Principle
from edit_rrm.tokens import Token
from edit_rrm.traces import Trace, parse_trace
from edit_rrm.verdict_probability import met_probability


def read_trace_answer(
    trace_format: Literal["1", "json"], text: str, tokens: Sequence[Token], principles: Sequence[Principle]
) -> Reading:
    """Verdicts and score of a trace. Raises TraceError."""
    trace = parse_trace(text, len(principles)) if trace_format == "1" else read_trace(text, principles)
    return trace_reading(trace, tokens)


def trace_reading(trace: Trace, tokens: Sequence[Token]) -> Reading:
    """A parsed trace with the probability of "met" at each verdict's digit."""
    probabilities = tuple(
        None if verdict.position is None else met_probability(tokens, verdict.position)
        for verdict in trace.verdicts
    )
    return Reading(
        trace.text, tuple(tokens), verdicts=trace.verdicts, probabilities=probabilities, score=trace.score
    )
