"""Greedy texts from a checkpoint in memory, by transformers: for what is asked once, before a training."""

from collections.abc import Sequence
from pathlib import Path

import torch

from edit_rrm.prompts import Prompt
from edit_rrm_training.data.trl_rows import picture
from edit_rrm_training.runs.checkpoints import Base


def generate_greedily(
    base: Base,
    asked: Sequence[tuple[Prompt, str | bytes]],
    *,
    folder: Path,
    max_tokens: int,
    batch_size: int,
) -> list[str]:
    """One text for each prompt about one picture, in order."""
    texts: list[str] = []
    base.model.eval()
    for start in range(0, len(asked), batch_size):
        batch = asked[start : start + batch_size]
        prompts = [
            base.processor.apply_chat_template(prompt.chat(), tokenize=False, add_generation_prompt=True)
            for prompt, _ in batch
        ]
        images = [[picture(reference, folder, base.card.scale)] for _, reference in batch]
        inputs = base.processor(text=prompts, images=images, padding=True, return_tensors="pt")
        inputs = inputs.to(base.model.device)
        with torch.no_grad():
            ids = base.model.generate(**inputs, do_sample=False, max_new_tokens=max_tokens)
        written = ids[:, inputs["input_ids"].shape[1] :]
        texts += base.processor.batch_decode(written, skip_special_tokens=True)
    return texts
