"""Traces whose advantage is 0 have no part in the gradient, so the update does not read them.

A pair that all its traces judge rightly, or none, has only such traces (`gcpo/no_gradient` in the log counts
these pairs), and so has an image whose N traces all won as often.
"""

from typing import Any

import torch
from trl.trainer.utils import split_pixel_values_by_grid, unsplit_pixel_values_by_grid


def without_idle(inputs: dict[str, Any], together: int) -> tuple[dict[str, Any], float]:
    """The rows with an advantage, and their share of all: what to weigh a mean over the rows with.

    `inputs` is what TRL's update gets, rows first, `advantages` [rows] among them. Rows stay or go by groups
    of `together`. Where no row has an advantage one group stays, for a loss whose gradient is 0.
    """
    advantages: torch.Tensor = inputs["advantages"]
    busy = advantages.ne(0).unflatten(0, (-1, together)).any(dim=1)
    if busy.all():
        return inputs, 1.0
    if not busy.any():
        busy[0] = True
    rows = busy.repeat_interleave(together).nonzero().flatten().tolist()

    def taken(value: Any) -> Any:
        if isinstance(value, list):
            return [value[row] for row in rows]
        return value[rows] if isinstance(value, torch.Tensor) and value.ndim else value

    split = split_pixel_values_by_grid(inputs)
    kept = unsplit_pixel_values_by_grid({name: taken(value) for name, value in split.items()})
    return kept, len(rows) / len(advantages)
