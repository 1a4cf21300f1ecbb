"""The description-trained base that all variants of one size start from, as a servable checkpoint.

It has looked, read and described, and has never judged an edit: *read* verifies without images, so it
teaches how a trace is put together and nothing about what a picture shows.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from edit_rrm.checkpoint import write_card
from edit_rrm_shapes.tiny_rrm import recipe
from edit_rrm_shapes.tiny_rrm.bundle import tiny_card
from edit_rrm_shapes.tiny_rrm.model import Size, save_servable
from edit_rrm_shapes.tiny_rrm.training import Stage, StepReport


@dataclass(frozen=True)
class BaseStages:
    """The four stages, as the bundled checkpoint had them."""

    look: Stage = recipe.LOOK
    read: Stage = recipe.READ
    see: Stage = recipe.SEE
    base: Stage = recipe.BASE


def train_base(
    directory: Path,
    size: Size,
    stages: BaseStages | None = None,
    *,
    fast: bool = False,
    workers: int = 1,
    on_step: Callable[[Stage, StepReport], None] = lambda stage, report: None,
) -> dict[str, float]:
    """Leaves `directory/base`, in float16, and returns the seconds of each stage; goes on where it was."""
    stages = stages or BaseStages()
    seconds = recipe.train(
        directory, stages.look, stages.read, stages.see, stages.base,
        *(replace(stage, steps=0) for stage in (recipe.SFT, recipe.POLISH, recipe.FIND)),
        size=size, fast=fast, workers=workers, on_step=on_step,
    )  # fmt: skip
    described = Qwen2_5_VLForConditionalGeneration.from_pretrained(directory / "base", dtype=torch.float16)
    save_servable(described, recipe.load_processor(directory).tokenizer, directory / "base", torch.float16)
    training = {
        "stage": "base", "size": size, "stages": json.loads(json.dumps(asdict(stages))),
        "seconds": {name: round(taken) for name, taken in seconds.items()},
    }  # fmt: skip
    write_card(directory / "base", tiny_card(f"edit-rrm-tiny-{size}-base", training))
    return seconds
