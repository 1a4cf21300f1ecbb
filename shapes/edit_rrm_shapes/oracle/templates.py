"""What a thing's pixels look like at every shape, size, offset, fill and blur, as shares of its two paints.

Built by drawing lone things with the world's own renderer, so that nothing is written twice. A pixel of a
thing is `(1 - outline) background + (outline - pattern) colour + pattern pattern_colour`; a field is either
the outline or the pattern of one fill at one phase. It must not know any picture that is to be read.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from edit_rrm_shapes.world.render import SIZE, render
from edit_rrm_shapes.world.scene import BACKGROUNDS, CELLS, COLOURS, SHAPES, Scene, Thing

RADII = (9, 10, 11, 12, 13)
REACH = 3
"""A thing sits at most so many pixels off its cell's centre, in either direction."""
PATCH = 40
"""Side of the window around a cell's centre in which a thing is matched."""
FIELD_FILLS = ("solid", "dotted", *["striped"] * 5)
"""The fill that each of the seven fields stands for; stripes repeat every five pixels, hence five phases.
Field 0 is the outline, whose pattern is empty."""
BLUR_LEVELS = tuple(round(0.3 * step, 1) for step in range(12))
"""Radii, in pixels, of the Gaussian blurs that templates are held ready for."""

_CENTRE_CELL = CELLS.index("center")
_CANVAS = PATCH + 2 * REACH
_GROUND, _PAINT = "brown", "white"
_LEVEL = 2  # the channel in which those two lie furthest apart
_NO_BLUR = 0.0


@dataclass(frozen=True, eq=False)
class Templates:
    """Everything at one blur: kinds are (shape, radius) pairs in the order of `KINDS`."""

    windows: np.ndarray  # [kinds, 7 fields, 3 - dy, 3 - dx, patch, patch], float32, 0 to 1
    outlines: np.ndarray  # [poses, patch * patch]: the outlines of all POSES, to be multiplied at once

    def fields_of(self, pose: int, field: int) -> np.ndarray:
        """Outline and pattern, [2, patch * patch], of a pose; a solid thing's pattern is empty."""
        kind, dx, dy = POSES[pose]
        outline, pattern = self.windows[kind, [0, field], REACH - dy, REACH - dx].reshape(2, -1)
        return np.stack([outline, pattern if field else np.zeros_like(outline)])


KINDS = tuple((shape, radius) for shape in SHAPES for radius in RADII)
_OFFSETS = range(-REACH, REACH + 1)
POSES = tuple(
    (kind, dx, dy) for kind in range(len(KINDS)) for dy in reversed(_OFFSETS) for dx in reversed(_OFFSETS)
)
"""(kind, dx, dy), in the order of `Templates.outlines`."""
POSE_SHAPES = np.array([SHAPES.index(KINDS[kind][0]) for kind, _, _ in POSES])


def _lone(colour: str, shape: str, radius: int, fill: str, dx: int = 0, dy: int = 0) -> np.ndarray:
    """A lone thing without noise, [canvas, canvas, 3], its own centre in the middle."""
    thing = Thing(shape, colour, fill, _CENTRE_CELL, dx, dy, radius)
    pixels = np.asarray(render(Scene((thing,), _GROUND, noise=0.0), 0), dtype=np.float32)
    top, left = SIZE // 2 + dy - _CANVAS // 2, SIZE // 2 + dx - _CANVAS // 2
    return pixels[top : top + _CANVAS, left : left + _CANVAS]


@lru_cache(maxsize=1)
def pattern_colours() -> np.ndarray:
    """The colour of each palette colour's pattern, [8, 3], as the renderer paints it."""
    shares = _sharp_fields()[KINDS.index(("square", RADII[-1])), FIELD_FILLS.index("dotted")]
    row, column = np.unravel_index(shares.argmax(), shares.shape)
    return np.array([_lone(colour, "square", RADII[-1], "dotted")[row, column] for colour in COLOURS])


@lru_cache(maxsize=1)
def _sharp_fields() -> np.ndarray:
    ground, paint = BACKGROUNDS[_GROUND][_LEVEL], COLOURS[_PAINT][_LEVEL]
    pattern = int(
        _lone(_PAINT, "square", RADII[-1], "striped")[
            _CANVAS // 2 - 6 : _CANVAS // 2 + 6, _CANVAS // 2, _LEVEL
        ].min()
    )
    fields = np.zeros((len(KINDS), len(FIELD_FILLS), _CANVAS, _CANVAS), dtype=np.float32)
    for kind, (shape, radius) in enumerate(KINDS):
        outline = (_lone(_PAINT, shape, radius, "solid")[..., _LEVEL] - ground) / (paint - ground)
        fields[kind, 0] = outline
        # Where a thing is drawn decides the phase of its stripes: five neighbouring places show all.
        places = [(0, 0), *((-2, dy) for dy in range(-2, 3))]
        for field, (dx, dy) in enumerate(places, start=1):
            drawn = _lone(_PAINT, shape, radius, FIELD_FILLS[field], dx, dy)[..., _LEVEL]
            fields[kind, field] = (ground + outline * (paint - ground) - drawn) / (paint - pattern)
    return np.clip(fields, 0, 1)


def blurred(shares: np.ndarray, radius: float) -> np.ndarray:
    """Shares [rows, columns], 0 to 1, under the blur that the renderer applies."""
    levels = Image.fromarray(np.rint(shares * 255).astype(np.uint8), "L")
    return np.asarray(levels.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255


@lru_cache(maxsize=len(BLUR_LEVELS))
def templates(blur: float) -> Templates:
    """The templates at one of BLUR_LEVELS."""
    fields = _sharp_fields()
    if blur > _NO_BLUR:
        fields = blurred(fields.reshape(-1, _CANVAS), blur).reshape(fields.shape)
    patch = (len(KINDS), len(FIELD_FILLS), PATCH, PATCH)
    windows = np.lib.stride_tricks.sliding_window_view(fields, patch)[0, 0].transpose(2, 3, 0, 1, 4, 5)
    outlines = np.ascontiguousarray(windows[:, 0]).reshape(len(POSES), PATCH * PATCH)
    return Templates(windows, outlines)


@lru_cache(maxsize=len(BLUR_LEVELS))
def upper_share(blur: float) -> np.ndarray:
    """How much of each row, [96], belongs to the upper half's background under a blur."""
    rows = np.zeros((SIZE, 3), dtype=np.float32)
    rows[: SIZE // 2] = 1
    return blurred(rows, blur)[:, 1] if blur > _NO_BLUR else rows[:, 1]
