"""Pictures and instructions of a run, read once and kept where it computes.

A step then waits for no file and no tokenizer, which for batches of hundreds takes longer than the step.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from edit_rrm_shapes.errors import EditsError
from edit_rrm_shapes.tiny_editor.shapes_edits import open_picture

THREADS = 8

K = TypeVar("K", bound=Hashable)


class Bank(Generic[K]):
    """A row of one tensor for each key."""

    def __init__(self, keys: Sequence[K], rows: torch.Tensor) -> None:
        self._place = {key: place for place, key in enumerate(keys)}
        self._rows = rows

    def __call__(self, keys: Iterable[K]) -> torch.Tensor:  # [keys, ...]
        """The rows of a batch."""
        places = torch.tensor([self._place[key] for key in keys], device=self._rows.device)
        return self._rows[places]


def picture_bank(
    paths: Iterable[Path], device: torch.device, on_picture: Callable[[], None] = lambda: None
) -> Bank[Path]:
    """Pictures of one size as bytes, [3, height, width] each: 27 kB at 96×96. Raises EditsError."""
    distinct = list(dict.fromkeys(paths))
    first = _pixels(distinct[0])
    decoded = torch.empty((len(distinct), *first.shape), dtype=torch.uint8)
    with ThreadPoolExecutor(THREADS) as threads:
        for path, row, pixels in zip(distinct, decoded, threads.map(_pixels, distinct), strict=True):
            if pixels.shape != first.shape:
                sizes = [f"{shape[2]}×{shape[1]}" for shape in (pixels.shape, first.shape)]
                raise EditsError(f"{path} is {sizes[0]}, others are {sizes[1]}: one run, one size")
            row.copy_(torch.from_numpy(pixels))
            on_picture()
    return Bank(distinct, decoded.to(device))


def instruction_bank(tokenizer: Any, instructions: Iterable[str], device: torch.device) -> Bank[str]:
    """Token ids of instructions, padded to the tokenizer's length: [tokens] int64 each."""
    distinct = list(dict.fromkeys(instructions))
    padded = tokenizer(distinct, padding="max_length", truncation=True, return_tensors="pt")
    return Bank(distinct, padded.input_ids.to(device))


def _pixels(path: Path) -> np.ndarray:  # [3, height, width] uint8
    return np.ascontiguousarray(np.asarray(open_picture(path)).transpose(2, 0, 1))
