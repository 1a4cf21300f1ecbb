"""What a person should know of a judge before it serves: what a group does not share, what nobody reads.

Nothing here is an error: those are found when the file is read (spec.py).
"""

from collections.abc import Iterator

from edit_rrm.judges.judge import Ask, Judge
from edit_rrm.judges.written import WrittenJudge
from edit_rrm.principles import Category, Principle
from edit_rrm.prompts import ImageSlot

SAMPLE_INSTRUCTION = "Make the red car blue."
SAMPLE_PRINCIPLES = (
    Principle(id="p1", question="Is the car blue?", category=Category.FOLLOW),
    Principle(id="p2", question="Is the street as it was?", category=Category.KEEP),
    Principle(id="p3", question="Is the car's outline clean?", category=Category.QUALITY),
)


def sample_asks(judge: Judge) -> tuple[Ask, ...]:
    """What a judge asks about a candidate of the sample: one source, three principles where it needs any."""
    return judge.asks(SAMPLE_INSTRUCTION, SAMPLE_PRINCIPLES if judge.needs_principles else (), 1)


def advice(judge: Judge) -> tuple[str, ...]:
    """A sentence for each thing worth knowing."""
    return tuple(_advice(judge))


def _advice(judge: Judge) -> Iterator[str]:
    asks = {ask.kind.name: ask for ask in reversed(sample_asks(judge))}  # of one asked for each, the first
    for name, ask in reversed(asks.items()):
        before, after = _around_candidate(ask)
        if after > before:
            yield (
                f"ask {name!r}: the candidate stands before {after} of {before + after} characters of text: "
                "a group shares little of the prompt; with the candidate last, all but its image is read once"
            )
    texts = [part for ask in asks.values() for m in ask.prompt.messages for part in m.parts]
    if not any(isinstance(part, str) and SAMPLE_INSTRUCTION in part for part in texts):
        yield "no ask shows the {instruction}: every edit of an image is judged alike"
    if isinstance(judge, WrittenJudge):
        unread = [name for name in judge.subscore_names if name not in judge.spec.read_names]
        if unread:
            yield f"the reward does not read {', '.join(unread)}"


def _around_candidate(ask: Ask) -> tuple[int, int]:
    """Characters of text before the candidate's image and after it."""
    parts = [part for message in ask.prompt.messages for part in message.parts]
    lengths = [0 if isinstance(part, ImageSlot) else len(part) for part in parts]
    place = parts.index(ImageSlot.CANDIDATE)
    return sum(lengths[:place]), sum(lengths[place:])
