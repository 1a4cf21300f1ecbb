"""What the oracle takes from a picture's levels before it matches anything."""

import numpy as np
import pytest

from edit_rrm_shapes.oracle.levels import (
    frame_width,
    ground_levels,
    is_flat,
    meant,
    noise_in,
    shown,
    typical_noise,
)

GRAY, PINK = (150, 150, 150), (246, 170, 198)


def noisy(level: tuple[int, int, int], noise: float) -> np.ndarray:
    pixels = np.random.default_rng(0).normal(level, noise, (96, 96, 3))
    return np.clip(np.rint(pixels), 0, 255)


@pytest.mark.parametrize("level", [GRAY, PINK, (8, 8, 8)])
@pytest.mark.parametrize("noise", [3.0, 20.0, 40.0])
def test_clipping_does_not_shrink_the_noise(level: tuple[int, int, int], noise: float) -> None:
    assert typical_noise(noisy(level, noise)) == pytest.approx(noise, rel=0.05)


def test_noise_is_taken_in_the_blocks_named() -> None:
    pixels = np.full((96, 96, 3), 100.0)
    pixels[:, 48:] = noisy(GRAY, 20.0)[:, 48:]
    right = np.zeros((12, 12), dtype=bool)
    right[:, 6:] = True
    assert noise_in(pixels, right) == pytest.approx(20, rel=0.05)
    assert noise_in(pixels, ~right) == 0


def test_a_block_of_one_colour_is_flat() -> None:
    pixels = np.full((16, 16, 3), 100.0)
    pixels[3, 12, 1] = 101
    assert is_flat(pixels).tolist() == [[True, False], [True, True]]


def test_the_shown_mean_of_a_clipped_level_and_back() -> None:
    # Half of a normal distribution around 255 is cut off: its mean falls by sigma / sqrt(2 pi).
    assert float(shown(np.array(255.0), 20.0)) == pytest.approx(255 - 20 / np.sqrt(2 * np.pi), abs=0.5)
    assert float(shown(np.array(128.0), 20.0)) == pytest.approx(128)
    levels = np.array([10.0, 128.0, 246.0])
    assert meant(shown(levels, 25.0), 25.0) == pytest.approx(levels, abs=0.01)


@pytest.mark.parametrize("width", [0, 1, 4, 12])
def test_rings_of_white_are_counted(width: int) -> None:
    pixels = np.full((96, 96, 3), 252.0)
    pixels[width : 96 - width, width : 96 - width] = GRAY
    assert frame_width(pixels, 3.0) == width


def test_a_white_picture_and_three_white_sides_have_no_frame() -> None:
    white = np.full((96, 96, 3), 252.0)
    assert frame_width(white, 3.0) == 0
    white[40:] = GRAY
    assert frame_width(white, 3.0) == 0


def test_both_halves_backgrounds_are_seen_past_a_thing() -> None:
    pixels = np.full((96, 96, 3), GRAY, dtype=float)
    pixels[48:] = PINK
    pixels[4:28, 4:28] = 0
    ground = ground_levels(pixels, 0, 3.0)
    assert ground.mixed
    assert ground.upper.tolist() == list(GRAY)
    assert ground.lower.tolist() == list(PINK)
    pixels[48:] = GRAY
    assert not ground_levels(pixels, 0, 3.0).mixed
