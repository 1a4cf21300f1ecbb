"""A checkpoint's control tokens in text that is not its template's: found, and broken by a space. Pure."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edit_rrm.errors import CheckpointError
from edit_rrm.prompts import ImageSlot, Message, Prompt


def control_texts(added: Mapping[str, bool]) -> tuple[str, ...]:
    """The control tokens among a tokenizer's added ones, which `added` maps to "special"; longest first."""
    return tuple(
        sorted((t for t, special in added.items() if special or _controls(t)), key=len, reverse=True)
    )


def break_control(text: str, control: Sequence[str]) -> str:
    """The text with a space in every control token."""
    for token in control:
        if token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def with_texts(prompt: Prompt, change: Callable[[str], str]) -> Prompt:
    """The prompt with every text changed."""
    messages = tuple(
        Message(m.role, tuple(part if isinstance(part, ImageSlot) else change(part) for part in m.parts))
        for m in prompt.messages
    )
    return replace(prompt, messages=messages)


def read_added_tokens(directory: Path) -> dict[str, bool]:
    """The added tokens of a checkpoint's tokenizer, as `control_texts` takes them; empty without such a file.

    Reads JSON alone, so that no tokenizer library is needed. Raises CheckpointError for another form.
    """
    try:
        file = directory / "tokenizer.json"
        if file.is_file():
            return {token["content"]: token["special"] for token in _json(file)["added_tokens"]}
        file = directory / "tokenizer_config.json"
        if file.is_file():
            found = _json(file).get("added_tokens_decoder", {})
            return {token["content"]: token["special"] for token in found.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} does not name the tokenizer's added tokens: {error!r}") from error
    return {}


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _controls(text: str) -> bool:
    """Whether an added token may steer the model: not a single character, not plain words like "top left"."""
    return len(text.strip()) > 1 and not text.replace(" ", "").isalpha()
