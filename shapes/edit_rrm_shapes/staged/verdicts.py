"""Whether an expected difference came out. One test for every table; pure."""

from typing import Literal

Verdict = Literal["came out", "not shown", "did not come out", "open"]

MEANING = (
    "Came out: the whole 95 % interval lies above the bar, which is 0 or the "
    "*at least* that is named; not shown: the bar lies within the interval; did not come out: the interval "
    "lies below the bar."
)
"""Of the verdicts, for the tables."""
OPEN = (
    "Open: an interval over edits would decide, but what is compared is trainings, and it says nothing of "
    "other seeds."
)
"""Of the verdict that only a comparison of trainings can have."""


def verdict(low: float, high: float, at_least: float = 0.0) -> Verdict:
    """Of a difference with the 95 % interval [low, high]. Its mean alone decides nothing."""
    if low > at_least:
        return "came out"
    return "did not come out" if high < at_least else "not shown"


def verdict_on_trainings(low: float, high: float, at_least: float = 0.0) -> Verdict:
    """Of a difference between trainings whose interval is over edits alone: another seed may turn it."""
    return "not shown" if low <= at_least <= high else "open"
