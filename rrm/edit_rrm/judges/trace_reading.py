"""A parsed trace with the probability of "met" at each verdict's digit."""

from edit_rrm.judges.judge import Reading, Written
from edit_rrm.traces import PartialTrace
from edit_rrm.verdict_probability import met_probability


def trace_reading(trace: PartialTrace, written: Written) -> Reading:
    """What the trace says, and how sure its model was; `written` is the text it was parsed from."""
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
