"""A prompt as the text a checkpoint reads: its chat template around text that holds no control token."""

import functools
from typing import Any

from edit_rrm.errors import CheckpointError
from edit_rrm.prompts import Prompt
from edit_rrm_server.engines.control_text import break_control, control_texts, with_texts
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
        self._control_texts = control_texts({text: text in special for text in added})
        self._control_ids = frozenset(added[text] for text in self._control_texts)
        self._harmless = functools.lru_cache(_CACHED_TEXTS)(self._broken)

    def render(self, prompt: Prompt) -> str:
        """The prompt's text up to where the answer begins or goes on, each image a placeholder.

        Raises RequestRefusedError (invalid_request) for text that stays a control token.
        """
        safe = with_texts(prompt, self._harmless)
        text: str = self._tokenizer.apply_chat_template(
            safe.chat(),
            chat_template=self._template,
            tokenize=False,
            add_generation_prompt=not prompt.begun,
            continue_final_message=prompt.begun,
            **dict(prompt.template_arguments),
        )
        return text

    def _broken(self, text: str) -> str:
        text = break_control(text, self._control_texts)
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        if not self._control_ids.isdisjoint(ids):
            raise RequestRefusedError(
                "invalid_request", "instruction or principles: hold a control token of the model's template"
            )
        return text
