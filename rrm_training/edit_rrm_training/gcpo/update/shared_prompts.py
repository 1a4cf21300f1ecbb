"""A shared prefix: the update reads the prompt of an image once for all its N traces, not N times.

TRL reads a row of prompt and trace for each trace, and most of such a row is prompt: two pictures, the
principles. Here the N traces of an image are packed behind their prompt, and the attention mask keeps each
from seeing the others:

    prompt without its last token | last token, trace 1 | last token, trace 2 | … | last token, trace N

The last token of the prompt is repeated because it is what predicts a trace's first. A token has the position
it had in its own row, so log-probabilities and gradients are those of N rows, but for rounding
(`benchmarks/gcpo_update.py` measures what is saved).

Works for the models with the multimodal positions of Qwen-VL all of whose layers attend to whatever a mask
lets through (full attention, sdpa).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import get_layer_types_and_kwargs
from trl.trainer import grpo_trainer
from trl.trainer.utils import split_pixel_values_by_grid

from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs.cpu_bfloat16 import FLOAT32_ATTENTION

_TAKE_A_MASK = ("sdpa", FLOAT32_ATTENTION)
_IMAGES = ("pixel_values", "image_grid_thw", "num_images")


@dataclass(frozen=True)
class Layout:
    """Where things lie in a row of N traces of at most T tokens behind a prompt of P."""

    traces: int
    prompt: int
    trace: int

    @property
    def shared(self) -> int:
        """Tokens that all traces see."""
        return self.prompt - 1

    @property
    def length(self) -> int:
        """Tokens of a packed row."""
        return self.shared + self.traces * (1 + self.trace)

    def pack(self, rows: torch.Tensor) -> torch.Tensor:
        """[..., groups·N, P + T] to [..., groups, length]; the N rows of a group have one prompt."""
        grouped = rows.unflatten(-2, (-1, self.traces))  # [..., groups, N, P + T]
        return torch.cat([grouped[..., 0, : self.shared], grouped[..., self.shared :].flatten(-2)], dim=-1)

    def unpack(self, scored: torch.Tensor) -> torch.Tensor:
        """What was predicted for the traces, [groups·N, T], from [groups, length - 1]: entry j belongs to
        the token after the j-th."""
        tails = torch.nn.functional.pad(scored[:, self.shared :], (0, 1))
        return tails.unflatten(-1, (self.traces, 1 + self.trace))[..., : self.trace].flatten(0, 1)

    def attention_mask(self, real: torch.Tensor) -> torch.Tensor:
        """Which token sees which, bool [groups, 1, length, length], from `real`, [groups, length], 0 at
        padding: what is before it, in the prompt or its own trace; and itself, for a row of padding."""
        position = torch.arange(self.length, device=real.device)
        part = (position - self.shared).div(1 + self.trace, rounding_mode="floor")  # below 0 in the prompt
        together = (part[None, :] < 0) | (part[None, :] == part[:, None])
        before = together & (position[None, :] <= position[:, None])
        itself = torch.eye(self.length, dtype=torch.bool, device=real.device)
        return ((before & real.bool()[:, None, :]) | itself)[:, None]


def check_model(model: Any) -> None:
    """Raises SettingsError, saying why, for a model whose prompts cannot be shared."""
    others = _other_layers(model)
    if others:
        raise SettingsError(
            f"share_prompts (and credit all_scores, which needs it): {type(model).__name__} has layers of "
            f"the type {', '.join(others)}, in which the traces of a row would mix; only layers of "
            "full_attention keep them apart. Train it with share_prompts=false and credit=trace"
        )
    if not hasattr(model.base_model, "get_rope_index"):
        raise SettingsError(
            f"share_prompts: {type(model).__name__} has other positions than Qwen-VL's (no get_rope_index)"
        )
    attention = model.config.get_text_config()._attn_implementation
    if attention not in _TAKE_A_MASK:
        raise SettingsError(f"share_prompts needs attention 'sdpa', which takes a mask, not {attention!r}")


def _other_layers(model: Any) -> list[str]:
    """The types of a model's layers that are not attention to all that a mask lets through: those with a
    window or chunks have a mask of their own, those with a state (linear attention, convolutions, state
    spaces) pass it on from token to token."""
    types, _ = get_layer_types_and_kwargs(model.config.get_text_config(decoder=True))
    others = sorted(set(types) - {"full_attention"})
    return others or (["recurrent"] if model._is_stateful else [])


def pack_batches(
    unwrapped_model: Any,
    layout: Layout,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    images: Mapping[str, Any],
    batch_size: int | None,
) -> Iterator[dict[str, Any]]:
    """What the model is called with, labels included, for batches of so many of the rows, or for all.

    `input_ids` and `attention_mask` are [groups·N, P + T]; `images` has those rows' `pixel_values`,
    `image_grid_thw`, `num_images` and `mm_token_type_ids`, as TRL holds them; `unwrapped_model` has neither
    adapters nor wrappers. Raises ValueError when the N rows of a group have different prompts or images.
    """
    split = split_pixel_values_by_grid({name: images[name] for name in _IMAGES})
    _check_groups(layout, input_ids, split)
    labels = input_ids.masked_fill(attention_mask == 0, -100)
    labels[:, : layout.prompt] = -100
    size = len(input_ids) if batch_size is None else batch_size
    for start in range(0, len(input_ids), size):
        rows = slice(start, start + size)
        first = slice(start, start + size, layout.traces)
        pixels, grids = (torch.cat(split[name][first]) for name in ("pixel_values", "image_grid_thw"))
        untruncated = attention_mask[first].clone()  # of a trace of T tokens, which has the positions of all
        untruncated[:, layout.prompt :] = 1
        positions, _ = unwrapped_model.base_model.get_rope_index(
            input_ids[first],
            image_grid_thw=grids,
            attention_mask=untruncated,
            mm_token_type_ids=images["mm_token_type_ids"][first],
        )  # [3, groups, P + T]
        yield {
            "input_ids": layout.pack(input_ids[rows]),
            "attention_mask": layout.attention_mask(layout.pack(attention_mask[rows])),
            "position_ids": layout.pack(positions.repeat_interleave(layout.traces, dim=1)),
            "labels": layout.pack(labels[rows]),
            "pixel_values": pixels,
            "image_grid_thw": grids,
        }


def _check_groups(layout: Layout, input_ids: torch.Tensor, split: Mapping[str, Any]) -> None:
    # The two images of a pair have the same prompt, so the pixels are compared as well.
    same_as_first = [
        torch.equal(input_ids[row, : layout.prompt], input_ids[first, : layout.prompt])
        and torch.equal(split["pixel_values"][row], split["pixel_values"][first])
        for row in range(len(input_ids))
        if (first := row - row % layout.traces) != row
    ]
    if not all(same_as_first):
        raise ValueError("rows of different prompts or images stand where the traces of one image belong")


@contextmanager
def unshuffled_traces() -> Iterator[None]:
    """Within, TRL leaves the traces of a rollout in their order, which it shuffles otherwise: those of an
    image stand together, and the sampler has shuffled the pairs."""
    kept = grpo_trainer.shuffle_sequence_dict
    grpo_trainer.shuffle_sequence_dict = lambda batch: batch
    try:
        yield
    finally:
        grpo_trainer.shuffle_sequence_dict = kept
