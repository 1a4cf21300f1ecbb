"""The oracle: reads a scene back from the pixels of a picture of the shapes world. No part of it learns.

It serves measuring only: nothing may train on what it says. It knows the renderer and nothing else: neither
the source nor the instruction of an edit. A picture that shows no scene of this world yields the nearest one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from edit_rrm_shapes.errors import PictureError
from edit_rrm_shapes.oracle.explaining import Placed, explain
from edit_rrm_shapes.oracle.levels import (
    Ground,
    frame_width,
    ground_levels,
    is_flat,
    noise_in,
    typical_noise,
)
from edit_rrm_shapes.oracle.matching import CellFit, Differences, fit_cell, likely_poses, visible
from edit_rrm_shapes.oracle.templates import BLUR_LEVELS, Templates, templates, upper_share
from edit_rrm_shapes.world.render import SIZE, render
from edit_rrm_shapes.world.scene import Scene

_SHARP_NOISE = 8.0
"""Above this the noise hides how soft edges are: they are taken for sharp."""
_ROUGH_LEVELS = BLUR_LEVELS[::2]
_CLEAREST = 2
_FINE_REACH = 0.7
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


@dataclass(frozen=True)
class _Picture:
    """A picture with what its levels told: all that the matching needs."""

    pixels: np.ndarray  # [96, 96, 3]
    frame: int
    noise: float
    ground: Ground

    @classmethod
    def of(cls, pixels: np.ndarray) -> "_Picture":
        frame = frame_width(pixels, typical_noise(pixels[8:-8, 8:-8]))
        edge = frame + 1 if frame else 0
        inside = pixels[edge : SIZE - edge, edge : SIZE - edge]
        noise = typical_noise(inside)
        return cls(pixels, frame, noise, ground_levels(pixels, edge, noise))

    @property
    def too_noisy(self) -> bool:
        """Whether the noise hides how soft edges are."""
        return self.noise > _SHARP_NOISE

    def differences(self, blur: float) -> Differences:
        """Cell by cell; a blur matters only where it mixes two backgrounds."""
        return self._differences_at(blur) if self.ground.mixed else self._plain_differences

    @cached_property
    def _plain_differences(self) -> Differences:
        return self._differences_at(0.0)

    def _differences_at(self, blur: float) -> Differences:
        upper = upper_share(blur)[:, None, None]
        plain = upper * self.ground.upper + (1 - upper) * self.ground.lower
        return Differences.of(self.pixels, np.broadcast_to(plain, self.pixels.shape), self.frame)

    def likely_poses(self, blur: float) -> dict[int, np.ndarray]:
        """For each cell that is not plainly empty its likely poses, the clearest cells first."""
        return likely_poses(self.differences(blur), templates(blur), self.noise, _POSES_PER_SHAPE)

    def fit(self, cell: int, poses: np.ndarray, blur: float) -> CellFit:
        """A cell held against these poses under a blur."""
        return fit_cell(self.differences(blur), cell, poses, templates(blur))


def _minimum(residuals: Sequence[float], levels: Sequence[float]) -> float:
    """The level where residuals are least, between evenly spaced levels by a parabola."""
    best = int(np.argmin(residuals))
    if best in (0, len(levels) - 1):
        return levels[best]
    before, here, after = residuals[best - 1 : best + 2]
    shift = 0.5 * (before - after) / max(before - 2 * here + after, 1e-6)
    return round(float(levels[best] + shift * (levels[1] - levels[0])), 3)


def _rough_blur(picture: _Picture, sharp: dict[int, np.ndarray]) -> float:
    """The one of BLUR_LEVELS at which the clearest things fit best, whatever their colours.

    `sharp` holds the poses that are likely if nothing is blurred.
    """
    clearest = [picture.fit(cell, sharp[cell], 0.0) for cell in list(sharp)[:_CLEAREST]]
    clearest = [fit.take(fit.best_poses(per_shape=1)) for fit in clearest]
    residuals: list[float] = []
    for level in _ROUGH_LEVELS:
        residuals.append(sum(picture.fit(fit.cell, fit.poses, level).least_residual() for fit in clearest))
        if residuals[-1] > residuals[0]:  # they fall towards the true blur and rise beyond it
            break
    blur = _minimum(residuals, _ROUGH_LEVELS[: len(residuals)])
    return min(BLUR_LEVELS, key=lambda level: abs(level - blur))


def _placed_residual(cells: Differences, placed: Placed, bank: Templates) -> float:
    """Squared residual of one thing, pixel by pixel."""
    cell = placed.thing.cell
    fields = bank.fields_of(placed.pose, placed.field) * visible(cells.frame)[cell]
    outline, pattern = fields[..., None]
    explained = outline * (placed.colour - cells.ground[cell]) + pattern * (placed.pattern - placed.colour)
    return float(((cells.differences[cell] - explained) ** 2).sum())


def _fine_blur(picture: _Picture, placed: Sequence[Placed], rough: float) -> float:
    """The blur near the rough one that explains the things best, each held at its pose, colour and fill."""
    levels = [level for level in BLUR_LEVELS if abs(level - rough) < _FINE_REACH]
    residuals = []
    for level in levels:
        cells, bank = picture.differences(level), templates(level)
        residuals.append(sum(_placed_residual(cells, thing, bank) for thing in placed))
    return _minimum(residuals, levels)


def read_scene(picture: Image.Image | np.ndarray) -> Reading:
    """Reads a picture of 96×96 pixels, an RGB image or uint8 [96, 96, 3]. Raises PictureError."""
    levels = _Picture.of(_pixels_of(picture))
    poses = levels.likely_poses(0.0)
    blur = 0.0 if levels.too_noisy or not poses else _rough_blur(levels, poses)
    if blur > BLUR_LEVELS[1]:
        poses = levels.likely_poses(blur)
    fits = [levels.fit(cell, found, blur) for cell, found in poses.items()]
    found = explain(levels.ground, fits, levels.noise, blur)
    if found.placed and not levels.too_noisy:
        blur = _fine_blur(levels, found.placed, blur)
    scene = Scene(
        tuple(placed.thing for placed in found.placed), found.background, found.lower_background,
        found.tone, found.tone_strength, 0.0, blur, levels.frame, found.cast, found.cast_strength,
    )  # fmt: skip
    return _with_noise(levels.pixels, scene)


def _with_noise(pixels: np.ndarray, scene: Scene) -> Reading:
    """Adds the noise, taken where the scene's rendering is flat, and what is then left unexplained."""
    rendering = np.asarray(render(scene, 0), dtype=np.float32)
    inside = slice(scene.frame, SIZE - scene.frame)
    flat = is_flat(rendering[inside, inside])
    noise = noise_in(pixels[inside, inside], flat) if flat.any() else typical_noise(pixels)
    unexplained = float(((pixels - rendering) ** 2).mean()) - noise**2
    return Reading(replace(scene, noise=round(noise, 2)), round(max(0.0, unexplained) ** 0.5, 2))
