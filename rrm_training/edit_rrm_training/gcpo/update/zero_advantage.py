"""Traces whose advantage is 0 have no part in the gradient, so the update does not read them.

A pair that all its traces judge rightly, or none, has only such traces (`gcpo/no_gradient` in the log counts
these pairs), and so has an image whose N traces all won as often.
"""

from typing import Any

import torch
from trl.trainer.utils import split_pixel_values_by_grid, unsplit_pixel_values_by_grid


def has_advantage(advantages: torch.Tensor, group: int) -> torch.Tensor:
    """Which groups of so many rows have one that is not 0, bool [rows / group]."""
    return advantages.ne(0).unflatten(0, (-1, group)).any(dim=1)


def keep_groups(inputs: dict[str, Any], having: torch.Tensor, count: int) -> dict[str, Any]:
    """What TRL's update gets, `inputs`, with `count` groups of rows: those `having` an advantage first.

    All keep their order. Everything that has a first dimension of rows, `advantages` among it, and the images
    go along.
    """
    if count == len(having):
        return inputs
    group = len(inputs["advantages"]) // len(having)
    chosen = having.logical_not().argsort(stable=True)[:count].sort().values
    rows = (chosen[:, None] * group + torch.arange(group, device=chosen.device)).flatten().tolist()

    def taken(value: Any) -> Any:
        if isinstance(value, list):
            return [value[row] for row in rows]
        return value[rows] if isinstance(value, torch.Tensor) and value.ndim else value

    split = split_pixel_values_by_grid(inputs)
    kept: dict[str, Any] = unsplit_pixel_values_by_grid(
        {name: taken(of_all) for name, of_all in split.items()}
    )
    return kept
