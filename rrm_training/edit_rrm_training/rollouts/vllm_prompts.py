"""Prompts as a vLLM inside the process takes them: one image token for each image.

TRL hands it the tokens of the training's prompt, in which an image has a token for each of its patches. vLLM
expands them again and reads another prompt, without a word: traces come out wrong (TRL issues 6294 and 6401).
A vLLM server of TRL's is given the places of the images and wants all tokens.
"""

from collections.abc import Sequence
from typing import Any

from edit_rrm_training.errors import SettingsError


def check_processor(processor: Any) -> None:
    """Raises SettingsError for a processor whose prompts a vLLM inside the process would not expand to those
    of the training: it puts other tokens than its image token where an image stands."""
    if "image_grid_thw" not in processor.image_processor.model_input_names:
        raise SettingsError(
            f"vllm.mode=colocate takes prompts of Qwen-VL's kind; {type(processor).__name__} writes an image "
            "otherwise. Use rollouts by transformers (vllm=null)"
        )


def with_one_token_an_image(prompt: Sequence[int], image_token: int) -> list[int]:
    """The prompt with every run of image tokens cut to its first."""
    return [
        token
        for place, token in enumerate(prompt)
        if token != image_token or place == 0 or prompt[place - 1] != image_token
    ]
