"""The profile of checkpoints trained by this project: short prompts, trace format 1, strict parsing."""

import re
from collections.abc import Sequence

from pydantic import ValidationError

from edit_rrm.errors import DecompositionError, TraceError
from edit_rrm.judges.texts.thinking import answer_start
from edit_rrm.principles import Category, Principle, numbered
from edit_rrm.prompts import SOURCE_SLOTS, ImageSlot, Message, Prompt
from edit_rrm.traces import PartialTrace, Trace, parse_trace
from edit_rrm.untrusted_text import neutralise

VERIFY_SYSTEM = "Verify the edit: evidence and verdict for each principle, then the score."
DECOMPOSE_SYSTEM = "List the principles of the edit."
MAX_PRINCIPLES = 16

_PRINCIPLE = re.compile(
    r"(?P<number>[1-9][0-9]{0,3})\. (?P<category>follow|keep|quality): (?P<question>\S.*)"
)


def principle_lines(principles: Sequence[tuple[Category | str, str]]) -> str:
    """Principles as prompts show them and decompositions write them, one numbered line each."""
    return "\n".join(
        f"{number}. {Category(category).value}: {question}"
        for number, (category, question) in enumerate(principles, start=1)
    )


class TrainedProfile:
    """See the module. Satisfies `PromptProfile`."""

    name = "trained"

    def decompose(self, instruction: str, *, seed: int = 0, sources: int = 1) -> Prompt:
        """Needs no exemplars: the checkpoint was trained on the task, so `seed` changes nothing."""
        user = Message("user", (*SOURCE_SLOTS[:sources], f"instruction: {neutralise(instruction)}"))
        return Prompt((Message("system", (DECOMPOSE_SYSTEM,)), user))

    def parse_principles(
        self, text: str, *, opened: bool | None = None, whole: bool = False
    ) -> tuple[Principle, ...]:
        """One principle a line, numbered from 1, each with its category; all three categories present.

        A thought that some bases write first is left out. Nothing here shows where a list ends: `whole`
        changes nothing.
        """
        start = answer_start(text, DecompositionError, opened=opened)
        pairs = []
        for number, line in enumerate(text[start:].strip().split("\n"), start=1):
            match = _PRINCIPLE.fullmatch(line.strip())
            if match is None or int(match["number"]) != number:
                raise DecompositionError(
                    f"line {number} is not '{number}. category: question': {line[:80]!r}", text
                )
            pairs.append((match["category"], match["question"]))
        if len(pairs) > MAX_PRINCIPLES:
            raise DecompositionError(f"at most {MAX_PRINCIPLES} principles, got {len(pairs)}", text)
        missing = [c.value for c in Category if c.value not in {category for category, _ in pairs}]
        if missing:
            raise DecompositionError(f"no principle of category {', '.join(missing)}", text)
        try:
            return numbered(pairs)
        except ValidationError as error:
            raise DecompositionError(f"a question does not fit: {error}", text) from error

    def verify(self, instruction: str, principles: Sequence[Principle], sources: int = 1) -> Prompt:
        """System, sources, instruction and numbered principles, then the candidate."""
        lines = principle_lines([(p.category, neutralise(p.question)) for p in principles])
        shared = f"instruction: {neutralise(instruction)}\n{lines}\nedited:"
        user = Message("user", (*SOURCE_SLOTS[:sources], shared, ImageSlot.CANDIDATE))
        return Prompt((Message("system", (VERIFY_SYSTEM,)), user))

    def parse_answer(
        self, text: str, principles: Sequence[Principle], *, opened: bool | None = None, whole: bool = False
    ) -> PartialTrace:
        """The same as `parse_trace`: a trace of ours always states its score."""
        return self.parse_trace(text, principles, opened=opened, whole=whole)

    def parse_trace(
        self, text: str, principles: Sequence[Principle], *, opened: bool | None = None, whole: bool = False
    ) -> Trace:
        """Trace format 1, strictly, after a thought that some bases write first.

        The closing tag at its end is part of the format: `whole` changes nothing.
        """
        start = answer_start(text, TraceError, opened=opened)
        return parse_trace(text, len(principles), start=start)
