"""What a picture tells before anything is matched: its white frame, its noise, its background's levels."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from edit_rrm_shapes.world.render import SIZE

_BLOCK = 8
_WIDEST_FRAME = 12
_GAP = 4
"""Pixels to either side of the grid's lines where things hardly ever reach."""
_QUANTILE_RANK = 0.1587 * _BLOCK**2 - 0.5
_STEPS = 16
_NODES = np.array([NormalDist().inv_cdf((step + 0.5) / _STEPS) for step in range(_STEPS)])
_NODES /= _NODES.std()


def _blocks(pixels: np.ndarray) -> np.ndarray:
    """[blocks down, blocks across, 3, 64]"""
    down, across = (side // _BLOCK for side in pixels.shape[:2])
    blocks = pixels[: down * _BLOCK, : across * _BLOCK].reshape(down, _BLOCK, across, _BLOCK, 3)
    return np.asarray(blocks.transpose(0, 2, 4, 1, 3).reshape(down, across, 3, _BLOCK**2))


def is_flat(pixels: np.ndarray) -> np.ndarray:
    """Which blocks of 8×8 pixels hold one colour only, [blocks down, blocks across]."""
    blocks = _blocks(pixels)
    return np.asarray((blocks == blocks[..., :1]).all((-1, -2)))


def block_deviations(pixels: np.ndarray) -> np.ndarray:
    """Distances from the median to the quantiles one standard deviation below and above it, in blocks of
    8×8 pixels: [blocks down, blocks across, 3, 2] from [rows, columns, 3]."""
    ranked = np.sort(_blocks(pixels), axis=-1)
    below = int(_QUANTILE_RANK)
    part = _QUANTILE_RANK - below
    low = ranked[..., below] * (1 - part) + ranked[..., below + 1] * part
    high = ranked[..., -1 - below] * (1 - part) + ranked[..., -2 - below] * part
    middle = (ranked[..., _BLOCK**2 // 2 - 1] + ranked[..., _BLOCK**2 // 2]) / 2
    return np.stack([middle - low, high - middle], axis=-1)


def typical_noise(pixels: np.ndarray) -> float:
    """Standard deviation of the noise in most blocks: things may lie in the others."""
    return _wider_side(np.median(block_deviations(pixels), axis=(0, 1)))


def noise_in(pixels: np.ndarray, blocks: np.ndarray) -> float:
    """Standard deviation of the noise in some blocks, [blocks down, blocks across] of bool."""
    return _wider_side(block_deviations(pixels)[blocks].mean(0))


def _wider_side(deviations: np.ndarray) -> float:
    """From [3, 2]: clipping at black or white narrows one side of a channel and leaves the other as it is."""
    return float(deviations.max(-1).mean())


def shown(levels: np.ndarray, noise: float) -> np.ndarray:
    """The mean a level has after noise was added and clipped to 0 to 255: over equally likely noises."""
    return np.asarray(np.clip(levels[..., None] + noise * _NODES, 0, 255).mean(-1))


def meant(shown_levels: np.ndarray, noise: float) -> np.ndarray:
    """The inverse of `shown`."""
    grid = np.arange(256.0)
    return np.asarray(np.interp(shown_levels, shown(grid, noise), grid))


def frame_width(pixels: np.ndarray, noise: float) -> int:
    """Width of the white frame: how many rings from the outside are white."""
    least_white = float(shown(np.array(252.0), noise)) - 14
    width = 0
    while width <= _WIDEST_FRAME:
        ring = pixels[width : SIZE - width, width : SIZE - width]
        sides = np.concatenate([ring[0], ring[-1], ring[1:-1, 0], ring[1:-1, -1]])
        if sides.mean(0).min() < least_white:
            return width
        width += 1
    return 0  # white all over: no frame


@dataclass(frozen=True)
class Ground:
    """The background as it shows: levels [3] of the upper and the lower half."""

    upper: np.ndarray
    lower: np.ndarray

    @property
    def mixed(self) -> bool:
        """Whether the halves differ by more than two backgrounds' likeness allows."""
        return float(np.linalg.norm(self.upper - self.lower)) > 14


def _level(gap: np.ndarray, noise: float) -> np.ndarray:
    """The background's level from gap pixels [n, 3], a few of them a thing's: the mean near the median."""
    level = np.median(gap, axis=0)
    for reach in (3 * noise + 10, 3 * noise + 4):
        near = np.abs(gap - level).max(1) < reach
        if near.sum() < 50:
            break
        level = gap[near].mean(0)
    return np.asarray(level)


def ground_levels(pixels: np.ndarray, frame: int, noise: float) -> Ground:
    """Both halves' background from the gaps between the cells."""
    place = np.arange(SIZE)
    gap = np.minimum(place % (SIZE // 3), SIZE // 3 - 1 - place % (SIZE // 3)) < _GAP
    inside = (place >= frame) & (place < SIZE - frame)
    gaps = (gap[:, None] | gap[None, :]) & inside[:, None] & inside[None, :]
    middle = SIZE // 2
    upper, lower = gaps.copy(), gaps.copy()
    # The rows where a blur mixes the halves tell of neither.
    upper[middle - _GAP :] = False
    lower[: middle + _GAP] = False
    ground = Ground(_level(pixels[upper], noise), _level(pixels[lower], noise))
    if ground.mixed:
        return ground
    whole = _level(pixels[gaps], noise)
    return Ground(whole, whole)
