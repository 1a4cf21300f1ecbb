"""Qwen-Image-Edit 2509 and 2511, of the "Plus" pipeline, as an EditPolicy: several sources an edit.

It differs from the first Qwen-Image-Edit in three ways, all of them the pipeline's: every source has a size
of its own, the last one's is that of the edited picture, and the encoder of instructions sees the sources
smaller and numbered. The pipeline takes one edit a call; here a batch is encoded edit by edit, then padded.
"""

from collections.abc import Sequence

import torch
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import (
    CONDITION_IMAGE_SIZE,
    calculate_dimensions,
)
from PIL import Image
from torch.nn.utils.rnn import pad_sequence

from edit_grpo.policies.qwen_image_edit import MASK, TEXT, QwenImageEditPolicy
from edit_rrm.wire import MAX_SOURCES


class QwenImageEditPlusPolicy(QwenImageEditPolicy):
    """A QwenImageEditPlusPipeline's parts."""

    max_sources = MAX_SOURCES
    canvas = -1

    def _text(
        self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        rows = [self._row(*each) for each in zip(sources, instructions, strict=True)]
        text = pad_sequence(rows, batch_first=True)
        if len({len(row) for row in rows}) == 1:
            return {TEXT: text}
        mask = pad_sequence([row.new_ones(len(row), dtype=torch.long) for row in rows], batch_first=True)
        return {TEXT: text, MASK: mask}

    def _row(self, sources: Sequence[Image.Image], instruction: str) -> torch.Tensor:  # [tokens, channels]
        shown = []
        for source in sources:
            width, height = calculate_dimensions(CONDITION_IMAGE_SIZE, source.width / source.height)
            shown.append(self._pipeline.image_processor.resize(source, height, width))
        embeds, _ = self._pipeline.encode_prompt(prompt=[instruction], image=shown, device=self.device)
        row: torch.Tensor = embeds[0].to(self.latent_dtype)
        return row
