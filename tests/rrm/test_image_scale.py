"""How large a model is shown a picture."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edit_rrm.checkpoint import read_card, zero_shot_card
from edit_rrm.image_scale import ImageScale, processor_scale, smaller

QWEN = {"patch_size": 14, "merge_size": 2}
SIDES = st.integers(1, 6000)


@pytest.mark.parametrize(
    ("scale", "size", "shown"),
    [
        (ImageScale(), (5000, 3), (5000, 3)),
        (ImageScale(max_side=1280), (1024, 1024), (1024, 1024)),
        (ImageScale(max_side=1280), (2560, 1280), (1280, 640)),
        (ImageScale(pixel_budget=1280 * 1280), (512, 2048), (512, 2048)),
        (ImageScale(pixel_budget=1280 * 1280), (2048, 2048), (1280, 1280)),
        (ImageScale(pixel_budget=1280 * 1280, patch=28), (512, 2048), (512, 2048)),
        (ImageScale(pixel_budget=1280 * 1280, patch=28), (2048, 2048), (1260, 1260)),
        (ImageScale(pixel_budget=1280 * 1280, patch=32), (2048, 2048), (1280, 1280)),
        (ImageScale(max_side=100, patch=28), (4000, 40), (100, 1)),
    ],
)
def test_sizes(scale: ImageScale, size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert scale.fitted(size) == shown


@given(SIDES, SIDES, st.integers(56, 3000), st.integers(3136, 4_000_000), st.sampled_from([1, 14, 28, 32]))
def test_nothing_is_beyond_the_limits_and_what_is_scaled_is_whole_patches(
    width: int, height: int, side: int, budget: int, patch: int
) -> None:
    scale = ImageScale(side, budget, patch)
    shown = scale.fitted((width, height))
    assert max(shown) <= side
    assert shown[0] * shown[1] <= budget
    assert scale.fitted(shown) == shown
    if shown == (width, height):
        return
    assert shown[0] <= width + patch
    assert shown[1] <= height + patch
    if min(shown) >= 4 * patch:
        assert shown[0] % patch == shown[1] % patch == 0
        assert math.isclose(shown[0] / shown[1], width / height, rel_tol=2 * patch / min(shown))


def test_the_smaller_of_two_limits() -> None:
    assert (smaller(3, None), smaller(None, 4), smaller(3, 4), smaller(None, None)) == (3, 4, 3, None)


@pytest.mark.parametrize(
    ("file", "said", "found"),
    [
        ("preprocessor_config.json", {**QWEN, "max_pixels": 1_003_520}, (28, 1_003_520)),
        ("preprocessor_config.json",
         {"patch_size": 16, "merge_size": 2, "size": {"longest_edge": 16_777_216, "shortest_edge": 65_536}},
         (32, 16_777_216)),
        ("processor_config.json",
         {"image_processor": {**QWEN, "size": {"longest_edge": 65_536}}}, (28, 65_536)),
        ("preprocessor_config.json", {**QWEN, "size": {"longest_edge": 980}}, (28, None)),
        ("preprocessor_config.json", {"patch_size": 14, "size": {"height": 384, "width": 384}}, (1, None)),
        ("preprocessor_config.json", ["no", "object"], (1, None)),
        ("other.json", QWEN, (1, None)),
    ],
)  # fmt: skip
def test_what_a_processor_says(tmp_path: Path, file: str, said: object, found: object) -> None:
    (tmp_path / file).write_text(json.dumps(said), encoding="utf-8")
    assert processor_scale(tmp_path) == found


def test_a_checkpoint_without_a_card_is_shown_what_its_processor_keeps(tmp_path: Path) -> None:
    assert read_card(tmp_path).scale == ImageScale(pixel_budget=1280 * 1280)
    assert zero_shot_card("fleet").scale == ImageScale(pixel_budget=1280 * 1280)
    said = {"patch_size": 14, "merge_size": 2, "max_pixels": 1_003_520}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said), encoding="utf-8")
    assert read_card(tmp_path).scale == ImageScale(pixel_budget=1_003_520, patch=28)


def test_the_processor_of_the_family_leaves_such_a_picture_alone() -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    scale = ImageScale(pixel_budget=1280 * 1280, patch=28)
    for size in ((2048, 2048), (4032, 3024), (3000, 1000), (1281, 1281)):
        width, height = scale.fitted(size)
        assert smart_resize(height, width, 28, 56 * 56, 1280 * 1280) == (height, width)
