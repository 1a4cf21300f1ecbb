"""Vision towers of Qwen2.5-VL on pictures of one size: a batch in one call, with the same results.

transformers attends image by image, and derives places and windows image by image, in every step. Where all
pictures of a batch have one size, both are done for the batch at once (the setting `equal_images`).
"""

from functools import lru_cache
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel
from transformers.vision_utils import (
    get_vision_cu_seqlens,
    get_vision_position_ids,
    get_vision_window_index,
)


def _equal_images_attention(
    module: torch.nn.Module,
    query: torch.Tensor,  # [1, heads, images * patches, head size]
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Vision attention of a batch of equally large images in one call instead of one call an image."""
    images = len(cu_seq_lens_q) - 1
    _one, heads, total, size = query.shape
    if images * int(max_length_q) != total:
        raise ValueError("equal-images attention needs images of one size in a batch")

    def split(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.view(heads, images, -1, size).transpose(0, 1)

    mixed = functional.scaled_dot_product_attention(split(query), split(key), split(value), scale=scaling)
    return mixed.permute(0, 2, 1, 3).reshape(1, total, heads, size), None


# "flash" in the name makes transformers pass the images' boundaries instead of looping over them.
EQUAL_IMAGES = "flash_equal_images"
AttentionInterface.register(EQUAL_IMAGES, _equal_images_attention)


@lru_cache
def _equal_images_places(
    images: int, rows: int, columns: int, merge: int, window: int, patch: int, device: torch.device
) -> dict[str, Any]:
    """What the vision tower derives from the grid of equally large images, by its own functions' names."""
    grid = torch.tensor([[1, rows, columns]] * images)
    index, bounds = get_vision_window_index(grid, merge, window, patch)
    return {
        "position_ids": get_vision_position_ids(grid, merge).to(device),
        "cu_seqlens": get_vision_cu_seqlens(grid).to(device), "max_seqlen": rows * columns,
        "window_index": index.to(device),
        "cu_window_seqlens": bounds.to(device), "max_window_seqlen": int(bounds.diff().max()),
    }  # fmt: skip


def _place_equal_images(
    visual: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Hands a vision tower what it would derive from the grid, image by image, in every step."""
    pixels = args[0] if args else kwargs["hidden_states"]
    grid = kwargs["grid_thw"].tolist()
    frames, rows, columns = grid[0]
    if frames == 1 and all(each == grid[0] for each in grid):
        shape = (len(grid), rows, columns, visual.spatial_merge_size, visual.window_size, visual.patch_size)
        kwargs = {**kwargs, **_equal_images_places(*shape, pixels.device)}
    return args, kwargs


def batch_vision_attention(model: PreTrainedModel) -> None:
    """Lets the vision tower attend over all images of a batch at once; the results are the same.

    What depends on the images' number and size alone is worked out once: transformers goes through them one
    by one, which on a GPU takes longer than all else in a step.
    """
    visual = model.model.visual
    visual.config._attn_implementation = EQUAL_IMAGES
    if _place_equal_images not in visual._forward_pre_hooks.values():
        visual.register_forward_pre_hook(_place_equal_images, with_kwargs=True)
