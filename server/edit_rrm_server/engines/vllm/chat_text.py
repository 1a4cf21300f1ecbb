"""A prompt as the text a checkpoint reads: its chat template around text that holds no control token.

Families differ in what their templates take. Which form one takes is found by rendering with each: messages
as they are, the system's text at the head of the user's where there is no such role, and both again with
one string a message, in which the family's own text stands for an image.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from edit_rrm.errors import CheckpointError
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm_server.engines.control_text import break_control, control_texts, with_texts
from edit_rrm_server.errors import RequestRefusedError

ImageText = Callable[[int], str | None]
"""What stands for the image of that number, from 1 on, in the family's texts."""

_CACHED_TEXTS = 512
_SYSTEM, _USER = "Qsystemq", "Quserq"
_PROBE = Prompt(
    (Message("system", (_SYSTEM,)), Message("user", (ImageSlot.SOURCE, _USER, ImageSlot.CANDIDATE)))
)
_TEXT_ALONE = Prompt((Message("system", (_SYSTEM,)), Message("user", (_USER,))))


@dataclass(frozen=True)
class ChatForm:
    """What a template takes: whether there is a system role, and whether content is a list of parts."""

    system_role: bool
    parts: bool


_FORMS = (ChatForm(True, True), ChatForm(False, True), ChatForm(True, False), ChatForm(False, False))


class ChatText:
    """Renders prompts with their own chat template, else `tokenizer`'s, else `fallback_template`.

    Raises CheckpointError for a template that takes a prompt in no form. Profiles already
    break the control tokens they know of; here the tokens of the very checkpoint are broken, and the
    result is checked by tokenising it.
    """

    def __init__(
        self,
        tokenizer: Any,
        fallback_template: str | None = None,
        image_text: ImageText = lambda number: None,
    ) -> None:
        self._tokenizer = tokenizer
        self._template: str | None = tokenizer.chat_template or fallback_template
        special = frozenset(tokenizer.all_special_tokens)
        added = tokenizer.get_added_vocab()
        self._control_texts = control_texts({text: text in special for text in added})
        self._control_ids = frozenset(added[text] for text in self._control_texts)
        self._harmless = functools.lru_cache(_CACHED_TEXTS)(self._broken)
        self._image_text = image_text
        self._head = self._head_of_texts()
        self._forms: dict[str, ChatForm] = {}
        if self._template is not None:
            self.form_of(self._template)

    def render(self, prompt: Prompt) -> str:
        """The prompt's text up to where the answer begins or goes on, each image a placeholder.

        Raises RequestRefusedError (invalid_request) for text that stays a control token, CheckpointError
        where neither the prompt nor the checkpoint has a template.
        """
        template = prompt.chat_template or self._template
        if template is None:
            raise CheckpointError(
                "the checkpoint's tokenizer has no chat template, and the judge brings none"
            )
        return self._apply(with_texts(prompt, self._harmless), template, self.form_of(template))

    def form_of(self, template: str) -> ChatForm:
        """What a template takes. Raises CheckpointError."""
        if template not in self._forms:
            self._forms[template] = self._find_form(template)
        return self._forms[template]

    def needs_special_tokens(self, text: str) -> bool:
        """Whether the tokenizer is to add its own at the text's head: not if the template wrote them."""
        return bool(self._head) and not text.startswith(self._head)

    def _apply(self, prompt: Prompt, template: str, form: ChatForm) -> str:
        messages = prompt if form.system_role else _without_system(prompt)
        text: str = self._tokenizer.apply_chat_template(
            messages.chat() if form.parts else self._strings(messages),
            chat_template=template,
            tokenize=False,
            add_generation_prompt=not prompt.begun,
            continue_final_message=prompt.begun,
            **dict(prompt.template_arguments),
        )
        return text

    def _strings(self, prompt: Prompt) -> list[dict[str, Any]]:
        """The messages with a string each."""
        number, messages = 0, []
        for message in prompt.messages:
            pieces: list[str] = []
            for part in message.parts:
                if isinstance(part, ImageSlot):
                    number += 1
                    placeholder = self._image_text(number)
                    if placeholder is None:
                        raise ValueError("nothing is known to stand for an image")
                    pieces.append(placeholder)
                else:
                    pieces.append(part)
            messages.append({"role": message.role, "content": "".join(pieces)})
        return messages

    def _find_form(self, template: str) -> ChatForm:
        """The first form that keeps both texts and the images. Raises CheckpointError if none does."""
        reasons = []
        for form in _FORMS:
            try:
                text, alone = (self._apply(prompt, template, form) for prompt in (_PROBE, _TEXT_ALONE))
            except Exception as error:  # a template is a program, and may raise anything
                reasons.append(f"{type(error).__name__}: {error}")
                continue
            if "'type'" in text or '"type"' in text:
                reasons.append("it writes the list of parts as it stands")
            elif (text.count(_SYSTEM), text.count(_USER)) != (1, 1):
                reasons.append("it leaves out the system's or the user's text, or repeats it")
            elif text == alone:
                reasons.append("it leaves out the images")
            else:
                return form
        raise CheckpointError(
            "the chat template takes a system text, a user text and two images in no form: "
            + "; ".join(dict.fromkeys(reasons))
        )

    def _head_of_texts(self) -> str:
        """What the tokenizer writes before every text by itself, like a BOS; "" for nothing."""
        plain = self._tokenizer.encode("a", add_special_tokens=False)
        whole = self._tokenizer.encode("a")
        places = (i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
        return "".join(self._tokenizer.convert_ids_to_tokens(whole[: next(places, 0)]))

    def _broken(self, text: str) -> str:
        text = break_control(text, self._control_texts)
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        if not self._control_ids.isdisjoint(ids):
            raise RequestRefusedError(
                "invalid_request", "instruction or principles: hold a control token of the model's template"
            )
        return text


def _without_system(prompt: Prompt) -> Prompt:
    """The prompt with the texts of system messages at the head of the message that follows."""
    messages: list[Message] = []
    head: tuple[str | ImageSlot, ...] = ()
    for message in prompt.messages:
        if message.role == "system":
            head += tuple(f"{part}\n\n" if isinstance(part, str) else part for part in message.parts)
        else:
            messages.append(Message(message.role, head + message.parts))
            head = ()
    return replace(prompt, messages=tuple(messages))
