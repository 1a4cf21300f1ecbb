"""Guards: deterministic image checks that stop the cheap ways to please a reward model (api.md).

Both images are compared at one bounded working size, so that a guard costs the same for every input.
A guard that fires decides a reward without the model, so each is built to stay silent when in doubt.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFilter
from pydantic import BaseModel, ConfigDict, Field

from edit_rrm.images import EditImage

Pixels = npt.NDArray[np.uint8]  # [height, width] or [height, width, channel]
Sides = tuple[int, int, int, int]  # top, bottom, left, right, in pixels

_PATCH_RADIUS = 3.5  # patches of 8 x 8 working pixels
_DEEPEST_FRAME = 0.2  # of a side; what is left of the image inside is at least 60 % of each side
_FRAME_FLATNESS = 0.95  # share of a frame's pixels that have its colour
_FRAME_VISIBILITY = 0.75  # share of the line inside a frame's edge that differs from it, on every side


class GuardSettings(BaseModel):
    """Thresholds of the guards, and the size they work at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    working_side: int = Field(default=512, ge=32, description="longest side in pixels at which images are compared")
    no_edit_change: float = Field(
        default=0.03, ge=0.0, le=1.0, description="a smaller `no_edit` value fires (share of full scale)"
    )
    global_weight: float = Field(
        default=4.0, ge=1.0, description="how much heavier a change of the whole image weighs than a patch's"
    )
    blank_range: float = Field(
        default=0.04, ge=0.0, le=1.0, description="a smaller `blank` value fires (share of full scale)"
    )
    border_depth: float = Field(
        default=0.01, gt=0.0, le=_DEEPEST_FRAME, description="a `border` value from here on fires (share of a side)"
    )
    border_tolerance: float = Field(
        default=0.065, ge=0.0, le=1.0, description="how far a pixel may be from a frame's colour (share of full scale)"
    )
    size_change: float = Field(
        default=0.05, ge=0.0, description="a larger `size` value fires (relative change of the aspect ratio)"
    )


@dataclass(frozen=True)
class GuardResult:
    """One guard's finding. What `value` measures depends on the guard, see `check_guards`."""

    name: str
    triggered: bool
    value: float


_DEFAULT_SETTINGS = GuardSettings()


def check_guards(
    source: EditImage, candidate: EditImage, settings: GuardSettings = _DEFAULT_SETTINGS
) -> tuple[GuardResult, ...]:
    """The results of `no_edit`, `blank`, `border` and `size`, in this order, fired or not.

    | guard     | fires when                     | value                                                 |
    |-----------|--------------------------------|-------------------------------------------------------|
    | `no_edit` | the two are nearly identical   | largest change of a patch's colour or detail, or of   |
    |           |                                | the image's mean times `global_weight`; 0 to 1 of full |
    |           |                                | scale (1 is black to white)                           |
    | `blank`   | the candidate is flat          | range of its patches' colours, 0 to 1 of full scale   |
    | `border`  | it has a frame the source lacks | depth of that frame's thinnest side, 0 to 1 of the    |
    |           |                                | image's side; 0 without one                           |
    | `size`    | its aspect ratio is another    | larger aspect ratio / smaller one - 1                 |
    """
    size = _working_size(source, candidate, settings.working_side)
    before, after = (_resized(image.image, size) for image in (source, candidate))
    change = _change(before, after, settings.global_weight)
    spread = _range(after)
    depth = _added_frame_depth(np.asarray(before), np.asarray(after), settings)
    aspect = _aspect_change(source, candidate)
    return (
        GuardResult("no_edit", change < settings.no_edit_change, change),
        GuardResult("blank", spread < settings.blank_range, spread),
        GuardResult("border", depth >= settings.border_depth, depth),
        GuardResult("size", aspect > settings.size_change, aspect),
    )


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
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _patches(image: Image.Image) -> Image.Image:
    """The mean of the patch around each pixel."""
    return image.filter(ImageFilter.BoxBlur(_PATCH_RADIUS))


def _change(before: Image.Image, after: Image.Image, global_weight: float) -> float:
    """Patches average sensor noise and compression away; the whole image's mean sees a faint change of tone."""
    colours = [np.asarray(_patches(image)) for image in (before, after)]
    details = [np.asarray(_detail(image)) for image in (before, after)]
    means = [np.asarray(image, dtype=np.float64).mean(axis=(0, 1)) for image in (before, after)]
    return max(
        _largest_gap(*colours) / 255,
        _largest_gap(*details) / 255,
        min(1.0, global_weight * float(np.abs(means[0] - means[1]).max()) / 255),
    )


def _detail(image: Image.Image) -> Image.Image:
    """How far the pixels of each patch lie from their surroundings: texture, which a patch's mean does not show."""
    grey = image.convert("L")
    return _patches(ImageChops.difference(grey, _patches(grey)))


def _largest_gap(before: Pixels, after: Pixels) -> int:
    """The largest distance of a patch of one image from the range of the patches next to it in the other.

    A range instead of the one patch at the same place: resampling moves edges by a part of a pixel.
    """
    gaps = []
    for one, other in ((before, after), (after, before)):
        low, high = _neighbourhood(other)
        gaps.append(np.maximum(np.maximum(one, high) - high, low - np.minimum(one, low)).max())
    return int(max(gaps))


def _neighbourhood(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Minimum and maximum over each pixel's 3 x 3 neighbourhood."""
    low, high = pixels.copy(), pixels.copy()
    for ahead, behind in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        for bound, pick in ((low, np.minimum), (high, np.maximum)):
            previous = bound.copy()
            pick(bound[ahead], previous[behind], out=bound[ahead])
            pick(bound[behind], previous[ahead], out=bound[behind])
    return low, high


def _range(image: Image.Image) -> float:
    """Range of the patches' colours, in the channel where it is widest, as a share of full scale."""
    patches = np.asarray(_patches(image))
    return float(np.ptp(patches, axis=(0, 1)).max()) / 255


def _aspect_change(source: EditImage, candidate: EditImage) -> float:
    crossed = (source.width * candidate.height, candidate.width * source.height)
    return (max(crossed) - min(crossed)) / min(crossed)


def _added_frame_depth(before: Pixels, after: Pixels, settings: GuardSettings) -> float:
    """Share of the side that the thinnest side of the candidate's frame takes; 0 if it has none of its own."""
    tolerance = round(settings.border_tolerance * 255)
    sides = _frame(after, tolerance)
    if sides is None or _had_margin(before, after, sides, tolerance):
        return 0.0
    height, width = after.shape[:2]
    top, bottom, left, right = sides
    return min(top / height, bottom / height, left / width, right / width)


def _frame(pixels: Pixels, tolerance: int) -> Sides | None:
    """The depths of a uniform frame on all four sides, or None.

    A frame, unlike a plain background, ends on every side at a line along which nearly everything
    differs from it; on a plain background objects lie only here and there.
    """
    height, width = pixels.shape[:2]
    plain = _matches(pixels, _ring_colour(pixels), tolerance)
    rows = plain[:, width // 4 : width - width // 4].mean(axis=1)
    columns = plain[height // 4 : height - height // 4].mean(axis=0)
    top, bottom, left, right = (_leading_run(line) for line in (rows, rows[::-1], columns, columns[::-1]))
    if not 0 < min(top, bottom, left, right):
        return None
    if max(top, bottom) > _DEEPEST_FRAME * height or max(left, right) > _DEEPEST_FRAME * width:
        return None
    inside = plain[top : height - bottom, left : width - right]
    outside_count = plain.size - inside.size
    if plain.sum() - inside.sum() < _FRAME_FLATNESS * outside_count:
        return None
    edges = (inside[:3], inside[:-4:-1], inside[:, :3].T, inside[:, :-4:-1].T)
    visible = all((1.0 - edge.mean(axis=1)).max() >= _FRAME_VISIBILITY for edge in edges)
    return (top, bottom, left, right) if visible else None


def _had_margin(before: Pixels, after: Pixels, sides: Sides, tolerance: int) -> bool:
    """Whether the source already had a frame of these depths, or this very margin around an object."""
    own = _frame(before, tolerance)
    slack = max(2, round(0.02 * max(after.shape[:2])))
    if own is not None and all(abs(a - b) <= slack for a, b in zip(own, sides, strict=True)):
        return True
    top, bottom, left, right = sides
    margin = np.ones(before.shape[:2], dtype=bool)
    margin[top : before.shape[0] - bottom, left : before.shape[1] - right] = False
    return bool(_matches(before[margin], _ring_colour(after), tolerance).mean() >= _FRAME_FLATNESS)


def _ring_colour(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Median colour of the outermost pixels."""
    ring = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return np.median(ring, axis=0)


def _matches(pixels: Pixels, colour: npt.NDArray[np.float64], tolerance: int) -> npt.NDArray[np.bool_]:
    low = np.clip(np.floor(colour) - tolerance, 0, 255).astype(np.uint8)
    high = np.clip(np.ceil(colour) + tolerance, 0, 255).astype(np.uint8)
    return ((pixels >= low) & (pixels <= high)).all(axis=-1)


def _leading_run(shares: npt.NDArray[np.float64]) -> int:
    """How many lines from the start on are mostly of the frame's colour; all of them if no line is not."""
    others = np.flatnonzero(shares < 0.5)
    return int(others[0]) if others.size else len(shares)
