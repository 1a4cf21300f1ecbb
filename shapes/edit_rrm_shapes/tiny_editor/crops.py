"""Parts of pictures in which there is something to see.

Most of a picture of the shapes world is background, which an autoencoder draws well at once. Of crops around
what has edges it learns several times faster.
"""

import torch

DETAIL = 12.0
"""A block with a higher standard deviation of its bytes has an edge; the background's grain has about 3."""
_PLAIN = 1e-3


def crops_with_detail(
    pixels: torch.Tensor, side: int, fold: int, generator: torch.Generator
) -> torch.Tensor:  # [batch, 3, side · fold, side · fold] uint8
    """One crop of each of `pixels` ([batch, 3, height, width] uint8): `side`×`side` blocks of `fold`×`fold`.

    Never larger than the picture. It begins at a multiple of `fold` and holds a block drawn among those with
    detail, any block where there are none.
    """
    count, channels, height, width = pixels.shape
    rows, columns = height // fold, width // fold
    side = min(side, rows, columns)
    blocks = pixels.float().reshape(count, channels, rows, fold, columns, fold)
    detailed = blocks.std((3, 5)).amax(1) > DETAIL  # [batch, rows, columns]
    weights = detailed.float().flatten(1) + _PLAIN
    drawn = torch.multinomial(weights, 1, generator=generator)[:, 0]
    before = torch.randint(side, (2, count), generator=generator, device=pixels.device)
    top = (drawn // columns - before[0]).clamp(0, rows - side) * fold
    left = (drawn % columns - before[1]).clamp(0, columns - side) * fold
    along = torch.arange(side * fold, device=pixels.device)
    picture = torch.arange(count, device=pixels.device)
    # Advanced indices around a slice put the batch and the picture's axes first.
    in_rows, in_columns = top[:, None, None] + along[:, None], left[:, None, None] + along
    return pixels[picture[:, None, None], :, in_rows, in_columns].permute(0, 3, 1, 2)
