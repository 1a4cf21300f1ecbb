"""A question to a VLM with its pictures, and the text to learn: what trainings and rollouts exchange."""

from dataclasses import dataclass
from typing import Any

from PIL import Image

from edit_rrm.prompts import Prompt


@dataclass(frozen=True)
class Sample:
    """A prompt with its images in slot order, and the completion to learn."""

    prompt: Prompt
    images: tuple[Image.Image, ...]
    completion: str
    principles: str = ""
    """The principle lines as the prompt holds them, for a verification."""


def prompt_text(processor: Any, sample: Sample) -> str:
    """The chat-formatted prompt, one image token a slot."""
    text: str = processor.tokenizer.apply_chat_template(
        sample.prompt.chat(), tokenize=False, add_generation_prompt=True
    )
    return text
