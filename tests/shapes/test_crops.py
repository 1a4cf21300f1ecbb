import torch

from edit_rrm_shapes.tiny_editor.crops import crops_with_detail

FOLD = 8


def _pictures(count: int, side: int = 96) -> torch.Tensor:
    """Grey, with one block of checks in each, and every block numbered by its red."""
    pictures = torch.full((count, 3, side, side), 100, dtype=torch.uint8)
    blocks = side // FOLD
    numbers = torch.arange(blocks * blocks, dtype=torch.uint8).reshape(blocks, blocks)
    pictures[:, 0] = numbers.repeat_interleave(FOLD, 0).repeat_interleave(FOLD, 1)
    return pictures


def _with_checks(pictures: torch.Tensor, row: int, column: int) -> torch.Tensor:
    checked = pictures.clone()
    block = checked[:, 1, row * FOLD : (row + 1) * FOLD, column * FOLD : (column + 1) * FOLD]
    block[:, ::2] = 250
    return checked


def test_crops_hold_the_block_with_detail() -> None:
    pictures = _with_checks(_pictures(64), row=9, column=11)
    crops = crops_with_detail(pictures, 4, FOLD, torch.Generator().manual_seed(0))
    assert crops.shape == (64, 3, 32, 32)
    assert ((crops[:, 1] == 250).sum((1, 2)) == FOLD * FOLD // 2).float().mean() > 0.9


def test_crops_are_parts_of_their_picture_at_multiples_of_a_block() -> None:
    pictures = _pictures(32)
    crops = crops_with_detail(pictures, 4, FOLD, torch.Generator().manual_seed(1))
    first = crops[:, 0, 0, 0].long()
    assert len(first.unique()) > 5
    for crop, number in zip(crops, first.tolist(), strict=True):
        top, left = FOLD * (number // 12), FOLD * (number % 12)
        assert torch.equal(crop, pictures[0, :, top : top + 32, left : left + 32])


def test_a_picture_smaller_than_the_crop_is_taken_whole() -> None:
    pictures = _with_checks(_pictures(2, side=16), row=0, column=1)
    assert torch.equal(crops_with_detail(pictures, 4, FOLD, torch.Generator().manual_seed(0)), pictures)
