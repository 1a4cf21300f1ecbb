"""Φ for the zero-shot profile: verdicts and score out of a foreign VLM's answer, its thinking left out.

Reading does not know why a text ended. Whoever does (the service, from `finish_reason`) refuses a text that
was cut off before it is read, and says `whole` of one that ended by itself.
"""

from collections.abc import Sequence

from edit_rrm.errors import TraceError
from edit_rrm.judges.texts.sloppy_json import ends_open, find_blocks
from edit_rrm.judges.texts.stated_score import read_score
from edit_rrm.judges.texts.stated_verdicts import read_stated
from edit_rrm.judges.texts.thinking import answer_start
from edit_rrm.principles import Principle
from edit_rrm.traces import PartialTrace, Trace


def read_answer(
    text: str, principles: Sequence[Principle], *, opened: bool | None = None, whole: bool = False
) -> PartialTrace:
    """The verdict on each principle, and the score where the text states one.

    `opened` says whether the prompt ended inside a thought (see `answer_start`). `whole` says that the model
    ended the text by itself; where that is not known, what the text shows no end of does not count: a number
    at its very end may be the head of a longer one, JSON that is still open may go on. Raises TraceError.
    """
    blocks = find_blocks(text, answer_start(text, TraceError, opened=opened))
    stated = read_stated(text, blocks, principles)
    if not whole and ends_open(text, blocks):
        raise TraceError("the JSON ends before it is closed", text)
    mean = sum(verdict.met for verdict in stated.verdicts) / len(stated.verdicts)
    score = read_score(text, blocks, stated.first_block, mean, whole=whole)
    return PartialTrace(stated.verdicts, score, text)


def read_trace(
    text: str, principles: Sequence[Principle], *, opened: bool | None = None, whole: bool = False
) -> Trace:
    """`read_answer` of a text that has to state a score. Raises TraceError."""
    return read_answer(text, principles, opened=opened, whole=whole).with_score()
