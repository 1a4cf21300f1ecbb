"""The first stage: the vision tower learns to name what each of its tokens shows, with no language yet.

Linear heads on the tower's output classify, at every merged token, the thing in that token's cell and
the picture's treatment. It is what a pretrained image encoder brings to a large model, in minutes; the
heads are thrown away (docs/notes/the-tiny-model.md).
"""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from edit_rrm_shapes.tiny_rrm.model import IMAGE_TOKENS
from edit_rrm_shapes.tiny_rrm.training import OnStep, Stage, ignore, run_steps
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_shapes.world.gold import EMPTY, margin, seen_tone, treatment
from edit_rrm_shapes.world.render import render
from edit_rrm_shapes.world.scene import BACKGROUNDS, COLOURS, FILLS, SHAPES, TONES, Scene
from edit_rrm_training.runs.cpu_bfloat16 import fast_on_cpu
from edit_rrm_training.runs.equal_images import batch_vision_attention

GRID = int(IMAGE_TOKENS**0.5)
CLASSES: dict[str, tuple[str, ...]] = {
    "colour": (EMPTY, *COLOURS),
    "shape": (EMPTY, *SHAPES),
    "fill": (EMPTY, *FILLS),
    "background": tuple(BACKGROUNDS),
    "objects": tuple(str(count) for count in range(10)),
    "tone": ("normal", "slight", *TONES),
    "noise and blur": ("none", "noise", "blur"),
    "frame and cast": ("none", "frame", "cast"),
}
CANDIDATES = 3
"""Edited images beside each source."""


def token_names(scene: Scene, row: int, column: int) -> tuple[str, ...]:
    """What the token at (row, column) of the grid shows, one name for each of CLASSES."""
    thing = scene.at(row * 3 // GRID * 3 + column * 3 // GRID)
    lower = scene.lower_background if row >= GRID // 2 else None
    return (
        thing.colour if thing else EMPTY,
        thing.shape if thing else EMPTY,
        thing.fill if thing else EMPTY,
        lower or scene.background,
        str(len(scene.things)),
        seen_tone(scene),
        treatment(scene),
        margin(scene),
    )


def token_labels(scene: Scene) -> torch.Tensor:
    """[tokens, classes] int64: the index of each token's name in each of CLASSES."""
    return torch.tensor([
        [names.index(name) for names, name in zip(CLASSES.values(), token_names(scene, r, c), strict=True)]
        for r in range(GRID)
        for c in range(GRID)
    ])  # fmt: skip


@dataclass(frozen=True)
class LookBatch:
    """Pictures with the names of their tokens."""

    pixel_values: torch.Tensor  # [patches of all images, patch values]
    image_grid_thw: torch.Tensor  # [images, 3]
    labels: torch.Tensor  # [images * tokens, classes] int64
    task: str = "look"

    def __len__(self) -> int:
        return len(self.image_grid_thw)

    def to(self, device: torch.device) -> "LookBatch":
        """The same on a device, but for the grid, which is read on the CPU alone."""
        return replace(self, pixel_values=self.pixel_values.to(device), labels=self.labels.to(device))


class LookBatches(Dataset[LookBatch]):  # type: ignore[misc]  # torch is Any here
    """Maps a step to its batch; sources and edited images in turn."""

    def __init__(self, processor: Qwen2_5_VLProcessor, seed: int, batch_size: int, steps: int) -> None:
        self.processor = processor
        self.seed = seed
        self.batch_size = batch_size
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> LookBatch:
        rng = random.Random(f"look-{self.seed}-{step}")
        shown: list[tuple[Scene, int]] = []
        while len(shown) < self.batch_size:
            edit = make_edit(self.seed, rng.getrandbits(40), CANDIDATES)
            shown.append((edit.source, edit.noise_seed))
            shown.extend((candidate.scene, candidate.noise_seed) for candidate in edit.candidates)
        shown = shown[: self.batch_size]
        pixels = self.processor.image_processor(
            images=[render(scene, noise_seed) for scene, noise_seed in shown], return_tensors="pt"
        )
        labels = torch.cat([token_labels(scene) for scene, _ in shown])
        return LookBatch(pixels["pixel_values"], pixels["image_grid_thw"], labels)


class Looker(nn.Module):  # type: ignore[misc]  # torch is Any here
    """A model's vision tower, shared, under heads of its own."""

    def __init__(self, model: Qwen2_5_VLForConditionalGeneration) -> None:
        super().__init__()
        self.visual = model.model.visual
        width = model.config.vision_config.out_hidden_size
        self.heads = nn.Sequential(
            nn.RMSNorm(width), nn.Linear(width, sum(len(names) for names in CLASSES.values()))
        )

    def logits(self, batch: LookBatch) -> tuple[torch.Tensor, ...]:
        """[images * tokens, names] for each of CLASSES."""
        seen = self.visual(batch.pixel_values, grid_thw=batch.image_grid_thw).pooler_output
        split: tuple[torch.Tensor, ...] = self.heads(seen).split([len(n) for n in CLASSES.values()], dim=1)
        return split

    def loss(self, batch: LookBatch) -> torch.Tensor:
        """The sum over CLASSES of the mean cross-entropy of a token, a scalar in nats."""
        losses = [
            functional.cross_entropy(logits.float(), labels)
            for logits, labels in zip(self.logits(batch), batch.labels.T, strict=True)
        ]
        return torch.stack(losses).sum()


def run_look_stage(
    stage: Stage,
    model: Qwen2_5_VLForConditionalGeneration,
    processor: Qwen2_5_VLProcessor,
    directory: Path,
    *,
    fast: bool = False,
    workers: int = 1,
    on_step: OnStep = ignore,
) -> float:
    """Trains the vision tower of `model` in place through the stage; returns its seconds over all runs.

    `fast`: as `run_stage` has it.
    """
    batch_vision_attention(model)
    torch.manual_seed(stage.seed)  # for the heads
    looker = Looker(model).to(model.device)
    batches = LookBatches(processor, stage.seed, stage.batch_size, stage.steps)

    def loss_of(batch: LookBatch) -> torch.Tensor:
        with fast_on_cpu(fast):
            return looker.loss(batch)

    return run_steps(stage, looker, batches, loss_of, directory, workers=workers, on_step=on_step)
