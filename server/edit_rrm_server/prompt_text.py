"""A prompt as the text a checkpoint reads: its chat template around text that holds no control token."""

import functools
from typing import Any

from edit_rrm.errors import CheckpointError
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm_server.errors import RequestRefusedError

_CACHED_TEXTS = 512


class ChatText:
    """Renders prompts with `tokenizer`'s chat template, or `fallback_template` if it has none.

    Raises CheckpointError when there is neither. Profiles already break the control tokens they know
    of; here the tokens of the very checkpoint are broken, and the result is checked by tokenising it.
    """

    def __init__(self, tokenizer: Any, fallback_template: str | None = None) -> None:
        self._tokenizer = tokenizer
        self._template = tokenizer.chat_template or fallback_template
        if self._template is None:
            raise CheckpointError("the checkpoint's tokenizer has no chat template")
        special = frozenset(tokenizer.all_special_tokens)
        added = tokenizer.get_added_vocab()
        control = {text: number for text, number in added.items() if text in special or _controls(text)}
        self._control_texts = sorted(control, key=len, reverse=True)
        self._control_ids = frozenset(control.values())
        self._harmless = functools.lru_cache(_CACHED_TEXTS)(self._broken)

    def render(self, prompt: Prompt) -> str:
        """The prompt's text up to where the answer begins, each image one placeholder of the template.

        Raises RequestRefusedError (invalid_request) for text that stays a control token.
        """
        safe = Prompt(tuple(self._safe(message) for message in prompt.messages))
        text: str = self._tokenizer.apply_chat_template(
            safe.chat(), chat_template=self._template, tokenize=False, add_generation_prompt=True
        )
        return text

    def _safe(self, message: Message) -> Message:
        parts = (part if isinstance(part, ImageSlot) else self._harmless(part) for part in message.parts)
        return Message(message.role, tuple(parts))

    def _broken(self, text: str) -> str:
        for token in self._control_texts:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        if not self._control_ids.isdisjoint(ids):
            raise RequestRefusedError(
                "invalid_request", "instruction or principles: hold a control token of the model's template"
            )
        return text


def _controls(text: str) -> bool:
    """Whether an added token may steer the model: not a single character, not plain words like "top left"."""
    return len(text.strip()) > 1 and not text.replace(" ", "").isalpha()
