"""Guards: deterministic image checks that stop the cheap ways to please a reward model (docs/api.md).

Both images are compared at one bounded working size, so that a guard costs the same for every input.
A guard that fires decides a reward without the model, so each is built to stay silent when in doubt.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFilter, ImageStat
from pydantic import BaseModel, ConfigDict, Field

from edit_rrm.images import EditImage

Pixels = npt.NDArray[np.uint8]  # [height, width], or [height, width, channel] where a frame is sought
Colour = npt.NDArray[np.float64]  # [channel], 0 to 255
Sides = tuple[int, int, int, int]  # top, bottom, left, right, in pixels

# Patches are the smallest that average away noise (brightness: 3 working pixels wide, 4 in a large image),
# halved colour resolution as in JPEG files (6), and what resizing does to texture (8). The weights bring
# each kind of change to the scale of brightness.
_SMALLEST_RADIUS = 1.0
_RADIUS_PER_PIXEL = 1 / 1024
_COLOUR_RADIUS = 2.5
_DETAIL_RADIUS = 3.5
_COLOUR_WEIGHT = 0.35
_MEAN_WEIGHT = 3.0

_DEEPEST_FRAME = 0.2  # of a side; what is left of the image inside is at least 60 % of each side
_DEEPEST_MARGIN = 0.45  # of a side; how deep a margin around an object of the source is still seen as one
_FRAME_FLATNESS = 0.9  # share of a frame's pixels that have its colour
_FRAME_VISIBILITY = 0.6  # share of the line inside a frame's edge that differs from it, on every side
_DEPTH_SLACK = 2  # pixels by which two measurements of one depth may differ
_MARGIN_KEPT = 0.5  # share of a frame's pixels from which on it is a background the source had already


class GuardSettings(BaseModel):
    """Thresholds of the guards, and the size they work at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    working_side: int = Field(default=512, ge=32, description="longest side in pixels for comparing")
    no_edit_change: float = Field(
        default=0.033, ge=0.0, le=1.0, description="a smaller `no_edit` value fires (share of full scale)"
    )
    blank_range: float = Field(
        default=0.04, ge=0.0, le=1.0, description="a smaller `blank` value fires (share of full scale)"
    )
    border_depth: float = Field(
        default=0.01,
        gt=0.0,
        le=_DEEPEST_FRAME,
        description="a `border` value this large fires (share of a side)",
    )
    border_tolerance: float = Field(
        default=0.11, ge=0.0, le=1.0, description="a frame's noise, peak (share of full scale)"
    )
    size_change: float = Field(
        default=0.05, ge=0.0, description="a larger `size` value fires (relative change of the aspect ratio)"
    )


@dataclass(frozen=True)
class GuardResult:
    """One guard's finding. What `value` measures depends on the guard, see `EditGuards.check`."""

    name: str
    triggered: bool
    value: float


_DEFAULT_SETTINGS = GuardSettings()


class EditGuards:
    """The guards of one edit: what they need of the source is computed once for all its candidates."""

    def __init__(self, source: EditImage, settings: GuardSettings = _DEFAULT_SETTINGS) -> None:
        self._source = source
        self._settings = settings
        self._befores: dict[tuple[int, int], tuple[Pixels, _View]] = {}  # by working size

    def check(self, candidate: EditImage) -> tuple[GuardResult, ...]:
        """The results of `no_edit`, `blank`, `border` and `size`, in this order, fired or not.

        - `no_edit` fires when the two are nearly identical. Value: the largest change that a patch or the
          whole image shows in brightness, colour or texture, 0 to 1 of full scale (1 is black to white).
        - `blank` fires when the candidate is flat. Value: the range of its patches' brightness or colour,
          0 to 1.
        - `border` fires when the candidate has a uniform frame that the source lacks. Value: the depth of
          that frame's thinnest side as a share of the image's height or width; 0 without such a frame.
        - `size` fires when the aspect ratio is another. Value: the larger ratio / the smaller one - 1.

        Safe to call from several threads.
        """
        settings = self._settings
        size = _working_size(self._source, candidate, settings.working_side)
        if size not in self._befores:  # two threads may both come here; they compute the same
            self._befores[size] = _seen(self._source, size)
        (before, source_view), (after, view) = self._befores[size], _seen(candidate, size)
        change, spread = _change(source_view, view), _range(view)
        depth = _added_frame_depth(before, after, settings)
        aspect = _aspect_change(self._source, candidate)
        return (
            GuardResult("no_edit", change < settings.no_edit_change, change),
            GuardResult("blank", spread < settings.blank_range, spread),
            GuardResult("border", depth >= settings.border_depth, depth),
            GuardResult("size", aspect > settings.size_change, aspect),
        )


def check_guards(
    source: EditImage, candidate: EditImage, settings: GuardSettings = _DEFAULT_SETTINGS
) -> tuple[GuardResult, ...]:
    """`EditGuards.check` for a single candidate."""
    return EditGuards(source, settings).check(candidate)


def reward_ceiling(results: Iterable[GuardResult]) -> float | None:
    """The highest reward the fired guards allow: 0.0, 0.5, or None when none of them limits it."""
    fired = {result.name for result in results if result.triggered}
    if fired & {"no_edit", "blank"}:
        return 0.0
    return 0.5 if fired & {"border", "size"} else None


def _working_size(source: EditImage, candidate: EditImage, working_side: int) -> tuple[int, int]:
    """The source's shape, no larger than either image or the limit: enlarging invents differences."""
    scale = min(1.0, working_side / max(source.width, source.height))
    width = min(max(1, round(source.width * scale)), candidate.width)
    height = min(max(1, round(source.height * scale)), candidate.height)
    return width, height


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Hamming leaves an image most like the usual resizers do; whole factors are averaged first."""
    return image if image.size == size else image.resize(size, Image.Resampling.HAMMING, reducing_gap=1.0)


@dataclass(frozen=True)
class _Patches:
    """The mean of the patch around each pixel."""

    means: Pixels  # [height, width]

    @classmethod
    def of(cls, channel: Image.Image, radius: float) -> "_Patches":
        return cls(np.asarray(channel.filter(ImageFilter.BoxBlur(radius))))

    @cached_property
    def bounds(self) -> tuple[Pixels, Pixels]:
        """Minimum and maximum over each patch and those next to it."""
        return _neighbourhood(self.means)

    def gap(self, other: "_Patches") -> int:
        """The largest distance of a patch of one image from the range of the patches around it in the other.

        A range instead of the one patch at the same place: resampling moves edges by a part of a pixel.
        """
        gaps = []
        for pixels, (low, high) in ((self.means, other.bounds), (other.means, self.bounds)):
            gaps.append(np.maximum(np.maximum(pixels, high) - high, low - np.minimum(pixels, low)).max())
        return int(max(gaps))


@dataclass(frozen=True)
class _View:
    """What `no_edit` and `blank` see of an image."""

    brightness: _Patches
    colours: tuple[_Patches, _Patches]  # Cb and Cr
    detail: _Patches
    mean: Colour

    @classmethod
    def of(cls, image: Image.Image) -> "_View":
        grey, *colours = image.convert("YCbCr").split()
        return cls(
            brightness=_Patches.of(grey, _SMALLEST_RADIUS + _RADIUS_PER_PIXEL * max(grey.size)),
            colours=(_Patches.of(colours[0], _COLOUR_RADIUS), _Patches.of(colours[1], _COLOUR_RADIUS)),
            detail=_detail(grey),
            mean=np.asarray(ImageStat.Stat(image).mean),
        )


def _seen(image: EditImage, size: tuple[int, int]) -> tuple[Pixels, _View]:
    """The image at the working size, as pixels and as a view."""
    resized = _resized(image.image, size)
    return np.asarray(resized), _View.of(resized)


def _detail(grey: Image.Image) -> _Patches:
    """How far the pixels of each patch lie from their surroundings: texture, which no patch's mean shows."""
    smooth = grey.filter(ImageFilter.BoxBlur(1))  # the finest detail is noise and does not survive resizing
    deviation = ImageChops.difference(smooth, smooth.filter(ImageFilter.BoxBlur(_DETAIL_RADIUS)))
    return _Patches.of(deviation, _DETAIL_RADIUS)


def _change(before: _View, after: _View) -> float:
    """See `EditGuards.check`. A faint change of tone shows in no patch, but in the mean of the image."""
    change = max(
        before.brightness.gap(after.brightness),
        before.detail.gap(after.detail),
        *(_COLOUR_WEIGHT * one.gap(other) for one, other in zip(before.colours, after.colours, strict=True)),
        _MEAN_WEIGHT * float(np.abs(before.mean - after.mean).max()),
    )
    return min(1.0, change / 255)


def _range(view: _View) -> float:
    """The widest range of the patches' brightness or colour, as a share of full scale."""
    return max(float(np.ptp(patches.means)) for patches in (view.brightness, *view.colours)) / 255


def _neighbourhood(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Minimum and maximum over each pixel's 3 x 3 neighbourhood."""
    low, high = pixels.copy(), pixels.copy()
    for ahead, behind in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        for bound, pick in ((low, np.minimum), (high, np.maximum)):
            previous = bound.copy()
            pick(bound[ahead], previous[behind], out=bound[ahead])
            pick(bound[behind], previous[ahead], out=bound[behind])
    return low, high


def _aspect_change(source: EditImage, candidate: EditImage) -> float:
    crossed = (source.width * candidate.height, candidate.width * source.height)
    return (max(crossed) - min(crossed)) / min(crossed)


def _added_frame_depth(before: Pixels, after: Pixels, settings: GuardSettings) -> float:
    """Share of the side that the thinnest side of the candidate's own frame takes; 0 without one."""
    tolerance = round(settings.border_tolerance * 255)
    sides = _margins(after, tolerance, _DEEPEST_FRAME)
    if sides is None or _had_margins(before, after, sides, tolerance):
        return 0.0
    height, width = after.shape[:2]
    top, bottom, left, right = sides
    return float(min(top / height, bottom / height, left / width, right / width))


def _margins(pixels: Pixels, tolerance: int, deepest: float) -> Sides | None:
    """The depths of a uniform margin on all four sides, or None; `deepest` is a share of the side.

    Unlike a plain background it ends on every side at a line along which most of the image differs from
    it: on a plain background objects lie only here and there.
    """
    height, width = pixels.shape[:2]
    plain = _matches(pixels, _ring_colour(pixels), tolerance)
    rows = plain[:, width // 4 : width - width // 4].mean(axis=1)
    columns = plain[height // 4 : height - height // 4].mean(axis=0)
    top, bottom, left, right = (_leading_run(line) for line in (rows, rows[::-1], columns, columns[::-1]))
    if min(top, bottom, left, right) == 0:
        return None
    if max(top, bottom) > deepest * height or max(left, right) > deepest * width:
        return None
    inside = plain[top : height - bottom, left : width - right]
    if plain.sum() - inside.sum() < _FRAME_FLATNESS * (plain.size - inside.size):
        return None
    edges = (inside[:3], inside[:-4:-1], inside[:, :3].T, inside[:, :-4:-1].T)
    visible = all((1.0 - edge.mean(axis=1)).max() >= _FRAME_VISIBILITY for edge in edges)
    return (top, bottom, left, right) if visible else None


def _had_margins(before: Pixels, after: Pixels, sides: Sides, tolerance: int) -> bool:
    """Whether the source had margins at least this deep, of any colour, or mostly this colour there."""
    own = _margins(before, tolerance, _DEEPEST_MARGIN)
    if own is not None and all(had >= side - _DEPTH_SLACK for had, side in zip(own, sides, strict=True)):
        return True
    top, bottom, left, right = sides
    frame = np.ones(before.shape[:2], dtype=np.bool_)
    frame[top : before.shape[0] - bottom, left : before.shape[1] - right] = False
    return bool(_matches(before[frame], _ring_colour(after), tolerance).mean() >= _MARGIN_KEPT)


def _ring_colour(pixels: Pixels) -> Colour:
    """Median colour of the outermost pixels."""
    ring = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour: Colour = np.median(ring, axis=0)
    return colour


def _matches(pixels: Pixels, colour: Colour, tolerance: int) -> npt.NDArray[np.bool_]:
    """Which pixels ([..., channel]) lie within `tolerance` of a colour in every channel."""
    low = np.clip(np.floor(colour) - tolerance, 0, 255).astype(np.uint8)
    high = np.clip(np.ceil(colour) + tolerance, 0, 255).astype(np.uint8)
    matches = np.ones(pixels.shape[:-1], dtype=np.bool_)
    for channel in range(pixels.shape[-1]):
        plane = np.ascontiguousarray(pixels[..., channel])
        matches &= (plane >= low[channel]) & (plane <= high[channel])
    return matches


def _leading_run(shares: npt.NDArray[np.float64]) -> int:
    """How many lines from the start on are mostly of the frame's colour; all of them if no line is not."""
    others = np.flatnonzero(shares < 0.5)
    return int(others[0]) if others.size else len(shares)
