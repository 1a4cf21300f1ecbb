"""Prompts as data: messages made of text and image slots, laid out so that a group shares its prefix.

The order is system, source image, instruction, principles, edited image (docs/architecture.md,
Conventions): the second to last candidate of a group then pay only for their own image and trace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from edit_rrm.principles import Principle
from edit_rrm.traces import PartialTrace, Trace


class ImageSlot(StrEnum):
    """Which image a slot holds: a source (most edits have one) or the candidate."""

    SOURCE = "source"
    SOURCE_2 = "source_2"
    SOURCE_3 = "source_3"
    SOURCE_4 = "source_4"
    CANDIDATE = "candidate"


SOURCE_SLOTS = (ImageSlot.SOURCE, ImageSlot.SOURCE_2, ImageSlot.SOURCE_3, ImageSlot.SOURCE_4)
"""Those of the sources, in order."""

TemplateArguments = tuple[tuple[str, bool | int | float | str], ...]


@dataclass(frozen=True)
class Message:
    """One chat message; a part is text or the slot of an image."""

    role: str
    parts: tuple[str | ImageSlot, ...]


@dataclass(frozen=True)
class Prompt:
    """A chat prompt with image slots. A last message of the assistant is the beginning of the answer.

    `template_arguments` are those of the chat template, such as enable_thinking; `chat_template` (Jinja) goes
    before the checkpoint's own.
    """

    messages: tuple[Message, ...]
    template_arguments: TemplateArguments = ()
    chat_template: str | None = None

    def told(self, arguments: Mapping[str, bool | int | float | str]) -> "Prompt":
        """The prompt with further template arguments; those it has stay."""
        return replace(self, template_arguments=(*arguments.items(), *self.template_arguments))

    def overruled(self, arguments: TemplateArguments) -> "Prompt":
        """The prompt with other template arguments in place of those it has."""
        return replace(self, template_arguments=(*self.template_arguments, *arguments))

    @property
    def begun(self) -> bool:
        """Whether the answer's beginning is part of the prompt."""
        return bool(self.messages) and self.messages[-1].role == "assistant"

    @property
    def slots(self) -> tuple[ImageSlot, ...]:
        """The image slots in the order in which they appear."""
        return tuple(p for m in self.messages for p in m.parts if isinstance(p, ImageSlot))

    def chat(self) -> list[dict[str, Any]]:
        """The messages as `apply_chat_template` and the OpenAI API take them, images as placeholders."""
        return [
            {
                "role": message.role,
                "content": [
                    {"type": "image"} if isinstance(part, ImageSlot) else {"type": "text", "text": part}
                    for part in message.parts
                ],
            }
            for message in self.messages
        ]


def numbered_sources(sources: int, above: str, several: str) -> tuple[str | ImageSlot, ...]:
    """The parts that show the sources: one, or each under its number. The text after them begins with a word.

    `above` says what the one image is; `several` says it of all of them.
    """
    if sources == 1:
        return (ImageSlot.SOURCE, above)
    parts: list[str | ImageSlot] = []
    for number, slot in enumerate(SOURCE_SLOTS[:sources], start=1):
        parts += [f"Source image {number}:", slot]
    return (*parts, several)


class PromptProfile(Protocol):
    """How one family of checkpoints is asked, and how its text is read back."""

    name: str

    def decompose(self, instruction: str, *, seed: int, sources: int = 1) -> Prompt:
        """The prompt that asks for the principles of (sources, instruction)."""
        ...

    def parse_principles(
        self, text: str, *, opened: bool | None = None, whole: bool = False
    ) -> tuple[Principle, ...]:
        """Principles from a decomposition's text. Raises DecompositionError.

        `opened`: whether the prompt ended inside a thought, None where that is not known. `whole`: whether
        the model is known to have ended the text by itself.
        """
        ...

    def verify(self, instruction: str, principles: Sequence[Principle], sources: int = 1) -> Prompt:
        """The prompt that asks for the trace of one candidate of an edit with that many source images."""
        ...

    def parse_answer(
        self, text: str, principles: Sequence[Principle], *, opened: bool | None = None, whole: bool = False
    ) -> PartialTrace:
        """As `parse_trace`, but for a text that may state no score. Raises TraceError."""
        ...

    def parse_trace(
        self, text: str, principles: Sequence[Principle], *, opened: bool | None = None, whole: bool = False
    ) -> Trace:
        """Φ: the trace from a verification's text; arguments as of `parse_principles`. Raises TraceError."""
        ...
