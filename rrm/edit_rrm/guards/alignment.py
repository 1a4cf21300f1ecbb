"""Where a candidate lies on its source: a shift, zoom and turn of a few pixels, found and undone.

Gauss-Newton on the difference of the two in brightness, with the source's gradients worked out once (inverse
compositional: S. Baker and I. Matthews, 2004) and weights that leave out what was edited. OpenCV's ECC does
the same; it is no part of a client's install, and has no such weights.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Floats = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]  # [3, 3]: from the source's place to the candidate's, in half longest sides

_SIDE = 128  # pixels of the longest side; a shift is found to about a fiftieth of them
_STEPS = 12
_IGNORED_MARGIN = 0.05  # of the longest side: what comes into a shifted image there is invented
_FARTHEST = 0.035  # of the longest side, at a corner: 2 % of zoom and 1° together; more is an edit
_NEAREST = 0.0004  # less changes nothing that the guards measure
_GAIN = 0.9  # of the mean difference: an alignment that leaves more explains nothing
_LONGEST_STEP = 0.5  # of half the longest side: beyond it a map may have no inverse
_STILL = 0.03  # pixels: a step that moves less is the last


@dataclass(frozen=True)
class Alignment:
    """How the candidate was moved against the source."""

    shift_x: float
    """Share of the width, to the right; `shift_y` of the height, downwards."""
    shift_y: float
    zoom: float
    """Above 1 the candidate shows things larger."""
    degrees: float
    """Clockwise."""


class Aligner:
    """Finds where candidates of one source lie. Safe to call from several threads."""

    def __init__(self, source: Image.Image) -> None:
        scale = min(1.0, _SIDE / max(source.size))
        self._size = (max(8, round(source.width * scale)), max(8, round(source.height * scale)))
        pixels = self._seen(source)
        height, width = pixels.shape
        half = max(height, width) / 2
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        x, y = (columns - (width - 1) / 2) / half, (rows - (height - 1) / 2) / half
        down, right = (gradient * half for gradient in np.gradient(pixels))
        margin = max(2, round(_IGNORED_MARGIN * max(height, width)))
        few = min(height, width) <= 4 * margin
        self._inner = np.s_[:, :] if few else np.s_[margin : height - margin, margin : width - margin]
        # of the six numbers of an affine map, and of a brighter and a lighter candidate
        parts = (
            right * x, right * y, right, down * x, down * y, down, pixels / 255, np.ones_like(pixels)
        )  # fmt: skip
        self._slopes: Floats = np.stack([part[self._inner].ravel() for part in parts])
        self._target = pixels[self._inner].ravel()
        self._half = half

    def find(self, candidate: Image.Image) -> Matrix | None:
        """The map from the source to a candidate of the same shape; None where they lie as they are.

        None too where no small movement brings them nearer.
        """
        seen = Image.fromarray(self._seen(candidate))
        matrix = np.eye(3)
        first = last = math.inf
        for step in range(_STEPS):
            moved = seen.transform(
                self._size, Image.Transform.AFFINE, _for_pillow(matrix, self._size), Image.Resampling.BILINEAR
            )
            rest = np.asarray(moved)[self._inner].ravel() - self._target
            last = float(np.abs(rest).mean())
            first = last if step == 0 else first
            weighted = self._slopes / (1 + (rest / (1.5 * last + 1e-3)) ** 2)
            normal = weighted @ self._slopes.T + 1e-3 * np.eye(8)
            a, b, c, d, e, f = np.linalg.solve(normal, weighted @ rest)[:6]
            if not max(map(abs, (a, b, c, d, e, f))) < _LONGEST_STEP:  # or none at all
                return None
            matrix = matrix @ np.linalg.inv([[1 + a, b, c], [d, 1 + e, f], [0, 0, 1]])
            if _corner(matrix, self._size) > 2 * _FARTHEST:
                return None
            if sum(map(abs, (a, b, c, d, e, f))) * self._half < _STILL:
                break
        if not _NEAREST < _corner(matrix, self._size) <= _FARTHEST or last > _GAIN * first:
            return None
        return matrix

    def _seen(self, image: Image.Image) -> Floats:
        grey = image.convert("L").resize(self._size, Image.Resampling.BOX)
        smooth = grey.filter(ImageFilter.BoxBlur(1)).filter(ImageFilter.BoxBlur(1))
        return np.asarray(smooth, dtype=np.float32)


def undone(candidate: Image.Image, source: Image.Image, matrix: Matrix) -> Image.Image:
    """The candidate, of the source's size, moved back onto it; at its edges the source itself."""
    size = source.size
    margin = math.ceil(_corner(matrix, size) * max(size)) + 1
    inner = (margin, margin, size[0] - margin, size[1] - margin)
    if inner[2] <= inner[0] or inner[3] <= inner[1]:
        return candidate
    moved = candidate.transform(
        size, Image.Transform.AFFINE, _for_pillow(matrix, size), Image.Resampling.BICUBIC
    )
    whole = source.copy()
    whole.paste(moved.crop(inner), inner[:2])
    return whole


def described(matrix: Matrix | None, size: tuple[int, int]) -> Alignment | None:
    """The map in words of movement; None stays None."""
    if matrix is None:
        return None
    a, b, c, d, e, f = matrix[:2].ravel()
    half = max(size) / 2
    return Alignment(
        shift_x=float(c * half / size[0]),
        shift_y=float(f * half / size[1]),
        zoom=math.sqrt(abs(a * e - b * d)),
        degrees=math.degrees(math.atan2(d - b, a + e)),
    )


def _corner(matrix: Matrix, size: tuple[int, int]) -> float:
    """How far the corner that moves farthest moves, as a share of the longest side."""
    longest = max(size)
    x, y = size[0] / longest, size[1] / longest
    corners = np.array([[x, x, -x, -x], [y, -y, y, -y], [1, 1, 1, 1]])
    moves = ((matrix - np.eye(3)) @ corners)[:2]
    return float(np.sqrt((moves**2).sum(axis=0)).max() / 2)


def _for_pillow(matrix: Matrix, size: tuple[int, int]) -> tuple[float, ...]:
    """The map in pixels, whose corner is the origin."""
    half, (x, y) = max(size) / 2, (size[0] / 2, size[1] / 2)
    (a, b, c), (d, e, f) = matrix[0], matrix[1]
    return (a, b, half * c + x - a * x - b * y, d, e, half * f + y - d * x - e * y)
