"""Prompts as data: messages made of text and image slots, laid out so that a group shares its prefix.

The order is system, source image, instruction, principles, edited image (architecture.md): the
second to last candidate of a group then pay only for their own image and trace.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from edit_rrm.principles import Principle
from edit_rrm.traces import Trace


class ImageSlot(StrEnum):
    """Which image of the quadruple a slot holds."""

    SOURCE = "source"
    CANDIDATE = "candidate"


@dataclass(frozen=True)
class Message:
    """One chat message; a part is text or the slot of an image."""

    role: str
    parts: tuple[str | ImageSlot, ...]


@dataclass(frozen=True)
class Prompt:
    """A chat prompt with image slots."""

    messages: tuple[Message, ...]

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


class PromptProfile(Protocol):
    """How one family of checkpoints is asked, and how its text is read back."""

    name: str

    def decompose(self, instruction: str, *, seed: int) -> Prompt:
        """The prompt that asks for the principles of (source, instruction)."""
        ...

    def parse_principles(self, text: str) -> tuple[Principle, ...]:
        """Principles from a decomposition's text. Raises DecompositionError."""
        ...

    def verify(self, instruction: str, principles: Sequence[Principle]) -> Prompt:
        """The prompt that asks for the trace of one candidate."""
        ...

    def parse_trace(self, text: str, principles: Sequence[Principle]) -> Trace:
        """Φ: the trace from a verification's text. Raises TraceError."""
        ...


# Chat templates' control tokens (<|im_end|>, <|image_pad|>, …), the tags the parser reads, and the
# sentinels of other model families. Each is broken by a space after its first character.
_CONTROL = re.compile(r"<(?=\|)|<(?=/?(?:s|score|think|img|image|bos|eos|pad|unk)\b[^>]*>)|\[(?=/?INST\])", re.I)


def neutralise(text: str, control_tokens: Sequence[str] = ()) -> str:
    """Untrusted text in which no control token and no score tag can be read as one.

    `control_tokens` adds the special tokens of the model at hand. Newlines and other control
    characters become single spaces, so that a question cannot add a line of its own to the prompt.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = _CONTROL.sub(lambda match: match[0] + " ", text)
    for token in control_tokens:
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
