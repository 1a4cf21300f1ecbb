"""What the pipeline adds to a profile's prompts: a teacher's stance, and other reviewers' traces."""

from collections.abc import Sequence

from edit_rrm.prompts import Message, Prompt
from edit_rrm.untrusted_text import neutralise
from edit_rrm_training.pipeline.rows import Judgement

STANCES: dict[str, str] = {
    "plain": "",
    "doubting": (
        "Expect that something went wrong, and look for it: call a principle met only when you have found "
        "in the edited image what it asks for."
    ),
    "region by region": (
        "Go through both images region by region, from the top left to the bottom right, and note every "
        "difference before you judge the first principle."
    ),
    "instruction first": (
        "Say first, in your own words, what the instruction asks for and what it leaves alone; judge every "
        "principle against that."
    ),
}
"""Added to the system text of a reasoning prompt, so that a pool of few models still writes varied traces."""

_REVIEWERS = (
    "Other reviewers judged the same edit; their notes follow the edited image. They may be wrong, alone "
    "or all together: take each note as a hint where to look, and let only what you see decide."
)


def with_stance(prompt: Prompt, stance: str) -> Prompt:
    """The prompt with a stance of `STANCES` at the end of its system text."""
    return _add(prompt, system=STANCES[stance]) if STANCES[stance] else prompt


def with_reviews(prompt: Prompt, traces: Sequence[Judgement]) -> Prompt:
    """The verification prompt with the candidate traces as reference, after the edited image."""
    if not traces:
        return prompt
    notes = "\n".join(_notes(number, trace) for number, trace in enumerate(traces, start=1))
    return _add(prompt, system=_REVIEWERS, after=f"\n{notes}")


def _notes(number: int, trace: Judgement) -> str:
    judged = zip(trace.evidence, trace.verdicts, strict=True)
    points = "; ".join(
        f"({n}) {neutralise(text)}: {int(met)}" for n, (text, met) in enumerate(judged, start=1)
    )
    return f"Reviewer {number}, score {trace.score:.1f}: {points}"


def _add(prompt: Prompt, system: str, after: str = "") -> Prompt:
    first, *others = prompt.messages
    messages = [Message(first.role, (*first.parts, f"\n{system}")), *others]
    if after:
        messages[-1] = Message(messages[-1].role, (*messages[-1].parts, after))
    return Prompt(tuple(messages))
