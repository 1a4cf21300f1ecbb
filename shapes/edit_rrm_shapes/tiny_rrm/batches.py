"""Batches of samples as tensors, each from (seed, step) alone, so that a resumed run sees the same data."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.data import Dataset
from transformers import Qwen2_5_VLProcessor

from edit_rrm_shapes.tiny_rrm.model import IMAGE_SIDE, IMAGE_TOKENS
from edit_rrm_shapes.tiny_rrm.tasks import Task, make_sample
from edit_rrm_shapes.world.scene import CELLS
from edit_rrm_training.data.samples import Sample, prompt_text

VERDICT_WEIGHT = 3.0
SEEN_WEIGHT = 2.0
SCORE_WEIGHT = 2.0
PLACE_FACTOR = 4.0
"""A principle's place counts this much more than its other words: it must be found in the picture."""
PRINCIPLE_WEIGHT = 0.5
"""The principles inside a verification's prompt are learned too: they follow from what stands before
them, source image and instruction, and cost no computation that verification does not do anyway."""
DRAW = 4
"""Steps that share a task and are cut from one length-sorted draw, which keeps padding low."""
GROUP = 4 * DRAW
"""Steps that are shuffled together: a run of steps on one task undoes others at these learning rates."""
BATCH_FACTOR: Mapping[Task, float] = {
    Task.READ: 1.0,
    Task.DESCRIBE: 1.0, Task.DESCRIBE_EDITED: 1.0, Task.COMPARE: 1.5, Task.DECOMPOSE: 1.5, Task.VERIFY: 1.0,
    Task.LOOK_ALIKES: 1.5,
}  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """Right-padded samples. Padding needs no mask: attention is causal and its loss weight is 0."""

    task: Task
    input_ids: torch.Tensor  # [batch, tokens] int64
    loss_weights: torch.Tensor  # [batch, tokens] float32: weight of predicting the token at that place
    mm_token_type_ids: torch.Tensor  # [batch, tokens] int64: 1 at image tokens
    position_ids: torch.Tensor  # [3, batch, tokens] int64: time, row, column
    pixel_values: torch.Tensor | None  # [patches of all images, patch values]; None without images
    image_grid_thw: torch.Tensor | None  # [images, 3]

    def __len__(self) -> int:
        return len(self.input_ids)

    def to(self, device: torch.device) -> "Batch":
        """The same on a device, but for the images' grid, which is read on the CPU alone."""
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor) and name != "image_grid_thw"
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class EncodedSample:
    """A sample's tokens; `prompt_length` of them are given, `principles` says which list principles that
    follow from what stands before them."""

    tokens: tuple[int, ...]
    prompt_length: int
    principles: range = range(0)


def encode(processor: Qwen2_5_VLProcessor, sample: Sample) -> EncodedSample:
    """Prompt and completion as token ids, image slots expanded as the processor expands them."""
    text = prompt_text(processor, sample).replace(processor.image_token, processor.image_token * IMAGE_TOKENS)
    prompt = processor.tokenizer(text)["input_ids"]
    completion = processor.tokenizer(sample.completion)["input_ids"]
    principles = range(0)
    if sample.principles and sample.images:
        begin = text.index(sample.principles)
        before = processor.tokenizer(text[:begin])["input_ids"]
        within = processor.tokenizer(text[: begin + len(sample.principles)])["input_ids"]
        principles = range(len(before), len(within) - 1)  # the last "?" merges with what follows it
    return EncodedSample((*prompt, *completion, processor.tokenizer.eos_token_id), len(prompt), principles)


def position_ids(is_image: torch.Tensor) -> torch.Tensor:  # [batch, tokens] bool
    """Qwen2.5-VL's places of tokens, [3, batch, tokens] int64, where all images have one size.

    Text counts on in all three; an image stays at one time, counts its rows and columns, and takes as many
    places as it has columns. As the model's own `get_rope_index`, which goes through a batch row by row.
    """
    before = is_image.cumsum(dim=1) - is_image.long()  # image tokens before each token
    within = before % IMAGE_TOKENS
    begins = (~is_image).cumsum(dim=1) - (~is_image).long() + before // IMAGE_TOKENS * IMAGE_SIDE
    inside = torch.stack([torch.zeros_like(within), within // IMAGE_SIDE, within % IMAGE_SIDE])
    return begins + torch.where(is_image, inside, 0)


class LossWeights:
    """Weights tokens by role: verdicts, what was seen, and the score count more; the rest of a prompt not."""

    def __init__(self, processor: Qwen2_5_VLProcessor) -> None:
        vocabulary = processor.tokenizer.convert_ids_to_tokens(range(len(processor.tokenizer)))
        self._asked = {i for i, token in enumerate(vocabulary) if token.startswith("/")}
        self._arrow = vocabulary.index("Ġ=>")
        self._score = vocabulary.index("<score")
        self._close = vocabulary.index("</")
        self._the = vocabulary.index("Ġthe")
        encoded = (processor.tokenizer(f" {cell}")["input_ids"] for cell in CELLS)
        self._places = {ids[0] for ids in encoded}

    def __call__(self, sample: EncodedSample) -> list[float]:
        """One weight a token; 0 for the prompt but its principles."""
        tokens = sample.tokens
        weights = [0.0] * sample.prompt_length + [1.0] * (len(tokens) - sample.prompt_length)
        for place in sample.principles:
            found = tokens[place] in self._places and tokens[place - 1] == self._the
            weights[place] = PRINCIPLE_WEIGHT * (PLACE_FACTOR if found else 1.0)
        in_score = False
        for place in range(sample.prompt_length, len(tokens)):
            if tokens[place] == self._arrow and place + 2 < len(tokens):
                weights[place + 2] = VERDICT_WEIGHT
            if tokens[place] in self._places and tokens[place - 1] == self._the:
                weights[place] *= PLACE_FACTOR
            if place + 1 < len(tokens) and tokens[place + 1] in self._asked:
                weights[place] = SEEN_WEIGHT
            in_score = (in_score or tokens[place] == self._score) and tokens[place] != self._close
            if in_score:
                weights[place] = SCORE_WEIGHT
        return weights


def role_weights(processor: Qwen2_5_VLProcessor) -> Callable[[Sequence[int], int], list[float]]:
    """`LossWeights` as SFT takes it, by the entry point `edit_rrm_training.token_weights`."""
    weigh = LossWeights(processor)
    return lambda tokens, prompt_length: weigh(EncodedSample(tuple(tokens), prompt_length))


class StepBatches(Dataset[Batch]):  # type: ignore[misc]  # torch is Any here
    """Maps a step to its batch."""

    def __init__(
        self,
        processor: Qwen2_5_VLProcessor,
        mix: Mapping[Task, float],
        seed: int,
        batch_size: int,
        steps: int,
    ) -> None:
        self.processor = processor
        self.mix = mix
        self.seed = seed
        self.batch_size = batch_size
        self.steps = steps
        self._weights = LossWeights(processor)
        self._group: tuple[int, list[Batch]] = (-1, [])

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        group = step // GROUP
        if self._group[0] != group:
            self._group = (group, self._make_group(group))
        return self._group[1][step % GROUP]

    def _make_group(self, group: int) -> list[Batch]:
        rng = random.Random(f"batches-{self.seed}-{group}")
        tasks = rng.choices(list(self.mix), weights=list(self.mix.values()), k=GROUP // DRAW)
        batches = [batch for task in tasks for batch in self._draw(task, rng)]
        rng.shuffle(batches)
        return batches

    def _draw(self, task: Task, rng: random.Random) -> list[Batch]:
        size = int(self.batch_size * BATCH_FACTOR[task])
        samples = []
        for _ in range(size * DRAW):
            sample = make_sample(task, self.seed, rng.getrandbits(40))
            samples.append((encode(self.processor, sample), sample))
        samples.sort(key=lambda pair: len(pair[0].tokens))
        return [self._collate(task, samples[k * size : (k + 1) * size]) for k in range(DRAW)]

    def _collate(self, task: Task, samples: list[tuple[EncodedSample, Sample]]) -> Batch:
        length = max(len(encoded.tokens) for encoded, _ in samples)
        tokens = torch.full((len(samples), length), self.processor.tokenizer.pad_token_id)
        weights = torch.zeros(len(samples), length)
        for row, (encoded, _) in enumerate(samples):
            tokens[row, : len(encoded.tokens)] = torch.tensor(encoded.tokens)
            weights[row, : len(encoded.tokens)] = torch.tensor(self._weights(encoded))
        images = [image for _, sample in samples for image in sample.images]
        pixels = self.processor.image_processor(images=images, return_tensors="pt") if images else {}
        is_image = tokens == self.processor.image_token_id
        return Batch(
            task,
            tokens,
            weights,
            is_image.long(),
            position_ids(is_image),
            pixels.get("pixel_values"),
            pixels.get("image_grid_thw"),
        )
