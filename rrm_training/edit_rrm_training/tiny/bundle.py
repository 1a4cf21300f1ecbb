"""Writes a finished checkpoint as the bundled one: half-precision weights, `rrm.json` and a model card."""

from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from edit_rrm.checkpoint import RRMCard, SamplingDefaults, write_card
from edit_rrm_training.tiny.model import save_servable
from edit_rrm_training.tiny.recipe import load_processor

JUDGES = (
    "edit-rrm-tiny judges 96-pixel pictures of coloured shapes and nothing else: on photographs its "
    "verdicts mean nothing. Serve a 3B or 7B checkpoint for real edits."
)
MAX_TOKENS = 320


def tiny_card(name: str, training: dict[str, Any]) -> RRMCard:
    """The `rrm.json` of a tiny checkpoint."""
    return RRMCard(
        name=name,
        profile="trained",
        trace_format="1",
        sampling=SamplingDefaults(max_tokens=MAX_TOKENS),
        max_image_side=384,
        judges=JUDGES,
        training=training,
    )


def bundle(run_directory: Path, stage: str, destination: Path, name: str, training: dict[str, Any]) -> None:
    """Copies `run_directory/stage` to `destination` in float16 with its card."""
    processor = load_processor(run_directory)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(run_directory / stage, dtype=torch.float32)
    save_servable(model, processor.tokenizer, destination, torch.float16)
    write_card(destination, tiny_card(name, training))
