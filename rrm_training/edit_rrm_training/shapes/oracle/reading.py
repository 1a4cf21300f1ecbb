"""The oracle: reads a scene back from the pixels of a picture of the shapes world. No part of it learns.

It serves measuring only: nothing may train on what it says. It knows the renderer and nothing else: neither
the source nor the instruction of an edit. A picture that shows no scene of this world yields the nearest one.
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from edit_rrm_training.errors import PictureError
from edit_rrm_training.shapes.oracle.explaining import Explanation, Placed, explain
from edit_rrm_training.shapes.oracle.levels import (
    Ground,
    frame_width,
    ground_levels,
    is_flat,
    is_soft,
    noise_in,
    typical_noise,
)
from edit_rrm_training.shapes.oracle.matching import CellFit, Differences, fit_cell, likely_poses
from edit_rrm_training.shapes.oracle.templates import BLUR_LEVELS, Templates, templates, upper_share
from edit_rrm_training.shapes.render import SIZE, render
from edit_rrm_training.shapes.scene import Scene

_SHARP_NOISE = 8.0
"""Above this the noise hides how soft edges are, and the sharp templates are taken."""
_TYPICAL_BLUR = 1.8
_POSES_PER_SHAPE = 2


@dataclass(frozen=True)
class Reading:
    """What the oracle found in a picture."""

    scene: Scene
    residual: float
    """Root mean square, in 8-bit levels, of what neither the scene's rendering nor its noise explains: under
    about 2 for a rendering, more the less the picture looks like this world."""


def _pixels_of(picture: Image.Image | np.ndarray) -> np.ndarray:
    if isinstance(picture, Image.Image):
        picture = np.asarray(picture.convert("RGB"))
    if picture.shape != (SIZE, SIZE, 3) or picture.dtype != np.uint8:
        raise PictureError(
            f"expected {SIZE}×{SIZE} pixels of 8-bit RGB, got {picture.dtype} of shape {picture.shape}"
        )
    return picture.astype(np.float32)


def _differences(pixels: np.ndarray, ground: Ground, frame: int, blur: float) -> Differences:
    upper = upper_share(blur)[:, None, None]
    plain = np.broadcast_to(upper * ground.upper + (1 - upper) * ground.lower, pixels.shape)
    return Differences.of(pixels, plain, frame)


def _fits(pixels: np.ndarray, ground: Ground, frame: int, noise: float, blur: float) -> list[CellFit]:
    """Every cell that is not plainly empty, with its likely poses."""
    differences, bank = _differences(pixels, ground, frame, blur), templates(blur)
    poses = likely_poses(differences, bank, noise, _POSES_PER_SHAPE)
    return [fit_cell(differences, cell, found, bank) for cell, found in poses.items()]


def _minimum(residual_at: dict[float, float]) -> float:
    """Where squared residuals over blur levels are least, between the levels by a parabola."""
    levels = list(residual_at)
    residuals = np.array(list(residual_at.values()))
    best = int(residuals.argmin())
    if best in (0, len(levels) - 1):
        return levels[best]
    before, here, after = residuals[best - 1 : best + 2]
    shift = 0.5 * (before - after) / max(before - 2 * here + after, 1e-6)
    return round(float(levels[best] + shift * (levels[1] - levels[0])), 3)


def _placed_residual(cells: Differences, placed: Placed, bank: Templates) -> float:
    """Squared residual of one thing, pixel by pixel."""
    cell = placed.thing.cell
    fields = bank.fields_of(placed.pose, placed.field) * cells.visible[cell]  # outline and pattern
    outline, pattern = fields[..., None]
    explained = outline * (placed.colour - cells.ground[cell]) + pattern * (placed.pattern - placed.colour)
    return float(((cells.differences[cell] - explained) ** 2).sum())


def _refined_blur(
    explanation: Explanation, pixels: np.ndarray, ground: Ground, frame: int
) -> float:
    """The blur that explains the things best, each held at its pose, colour and fill."""
    residuals = {}
    for level in BLUR_LEVELS:
        cells, bank = _differences(pixels, ground, frame, level), templates(level)
        residuals[level] = sum(_placed_residual(cells, placed, bank) for placed in explanation.placed)
    return _minimum(residuals)


def read_scene(picture: Image.Image | np.ndarray) -> Reading:
    """Reads a picture of 96×96 pixels, an RGB image or uint8 [96, 96, 3]. Raises PictureError."""
    pixels = _pixels_of(picture)
    noise = typical_noise(pixels[8:-8, 8:-8])
    frame = frame_width(pixels, noise)
    edge = frame + 1 if frame else 0
    inside = pixels[edge : SIZE - edge, edge : SIZE - edge]
    noise = typical_noise(inside)
    ground = ground_levels(pixels, edge, noise)
    soft = noise < _SHARP_NOISE and is_soft(inside, noise)
    blur = _TYPICAL_BLUR if soft else 0.0
    fits = _fits(pixels, ground, frame, noise, blur)
    explanation = explain(ground, fits, noise)
    if explanation.things and noise < _SHARP_NOISE:
        blur = _refined_blur(explanation, pixels, ground, frame)
        nearest = min(BLUR_LEVELS, key=lambda level: abs(level - blur))
        if soft and nearest != _TYPICAL_BLUR:
            fits = _fits(pixels, ground, frame, noise, nearest)
            explanation = explain(ground, fits, noise)
    scene = Scene(
        explanation.things, explanation.background, explanation.lower_background,
        explanation.tone, explanation.tone_strength, 0.0, blur, frame,
        explanation.cast, explanation.cast_strength,
    )  # fmt: skip
    return _with_noise(pixels, scene)


def _with_noise(pixels: np.ndarray, scene: Scene) -> Reading:
    """The noise where the scene's rendering is flat, and what is then left unexplained."""
    rendering = np.asarray(render(scene, 0), dtype=np.float32)
    flat = is_flat(rendering)
    noise = noise_in(pixels, flat) if flat.any() else typical_noise(pixels)
    unexplained = float(((pixels - rendering) ** 2).mean()) - noise**2
    return Reading(replace(scene, noise=round(noise, 2)), round(max(0.0, unexplained) ** 0.5, 2))
