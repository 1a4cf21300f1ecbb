"""A cache of keys and values that grows in leaps: transformers' own copies all it holds for every new token.

On a CPU those copies are a sixth to a fifth of a rollout of 64 traces (`benchmarks/gcpo_step.py`, whose bare
call has transformers' cache).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.cache_utils import DYNAMIC_LAYER_TYPE_MAPPING, DynamicLayer

ROOM = 64
"""Tokens of free room after every leap."""
_FULL = "full_attention"


class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is Any here
    """Keys and values, [batch, heads, tokens, head size], are views of larger tensors."""

    _buffers: tuple[torch.Tensor, torch.Tensor] | None = None
    keys: torch.Tensor
    values: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends [batch, heads, new tokens, head size] and returns all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        held = self.get_seq_length()
        end = held + key_states.shape[-2]
        buffers = self._buffers
        if buffers is None or not self._lies_in(buffers) or buffers[0].shape[-2] < end:
            buffers = _larger(self.keys, key_states, held), _larger(self.values, value_states, held)
        for buffer, states in zip(buffers, (key_states, value_states), strict=True):
            buffer[..., held:end, :] = states
        self._buffers = buffers
        self.keys, self.values = (buffer[..., :end, :] for buffer in buffers)
        return self.keys, self.values

    def _lies_in(self, buffers: tuple[torch.Tensor, torch.Tensor]) -> bool:
        """False after the cache was reordered, or rows were taken out."""
        held: tuple[tuple[int, int], ...] = tuple((b.data_ptr(), b.shape[0]) for b in buffers)
        return held == tuple((mine.data_ptr(), mine.shape[0]) for mine in (self.keys, self.values))


def _larger(held_states: torch.Tensor, new: torch.Tensor, held: int) -> torch.Tensor:
    batch, heads, tokens, size = new.shape
    buffer = new.new_empty(batch, heads, held + tokens + ROOM, size)
    if held:
        buffer[..., :held, :] = held_states
    return buffer


@contextmanager
def growing_caches() -> Iterator[None]:
    """Within, `generate` fills caches of this kind."""
    kept = DYNAMIC_LAYER_TYPE_MAPPING[_FULL]
    DYNAMIC_LAYER_TYPE_MAPPING[_FULL] = RoomyLayer
    try:
        yield
    finally:
        DYNAMIC_LAYER_TYPE_MAPPING[_FULL] = kept
