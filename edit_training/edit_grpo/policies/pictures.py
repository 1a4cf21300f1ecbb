"""Sizes of sources, and pictures of what an autoencoder decoded. Pure; it knows no pipeline."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from edit_grpo.policies.errors import PictureSizeError


def is_size_of_area(size: tuple[int, int], area: int, below: float, above: float) -> bool:
    """Whether some source's shape gives this size, its exact sides of that area rounded.

    A side lies at most `below` under its exact one, and at most `above` over it, in pixels.
    """
    width, height = size
    narrowest = max((width - above) ** 2 / area, area / (height + below) ** 2)
    widest = min((width + below) ** 2 / area, area / max(height - above, 1) ** 2)
    return narrowest <= widest


def one_size(pictures: Sequence[Image.Image], smallest: int) -> tuple[int, int]:
    """(width, height) of all pictures. PictureSizeError where they differ or have a side under `smallest`."""
    sizes = sorted({picture.size for picture in pictures})
    if len(sizes) != 1:
        listed = ", ".join(f"{width}×{height}" for width, height in sizes)
        raise PictureSizeError(f"sources of one batch must have one size, got {listed or 'no source'}")
    if min(sizes[0]) < smallest:
        raise PictureSizeError(
            f"a source must be at least {smallest}×{smallest}, got {sizes[0][0]}×{sizes[0][1]}"
        )
    return sizes[0]


def finite_pictures(pixels: torch.Tensor, postprocess: Any) -> list[Image.Image | None]:
    """Pictures of [batch, 3, height, width] by the pipeline's `postprocess`; None for one that is not finite.

    As a picture it would be black, and a judge would call it that: a failure must not become a reward.
    """
    finite = torch.isfinite(pixels).flatten(1).all(dim=1).tolist()
    pictures = postprocess(torch.nan_to_num(pixels), output_type="pil")
    return [picture if whole else None for picture, whole in zip(pictures, finite, strict=True)]
