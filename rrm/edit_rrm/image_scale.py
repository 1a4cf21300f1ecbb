"""How large a model is shown pictures: one rule for the service and for training."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Size = tuple[int, int]  # width, height in pixels
_LEAST_PIXELS = 128 * 128  # less is no number of pixels, but of a side's
_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class ImageScale:
    """What pictures are scaled down to, in their shape. The default leaves them as they are.

    `patch`: the sides of one that is scaled down become multiples of it. The model's processor would make
    them so, and then has nothing left to resample.
    """

    max_side: int | None = None
    pixel_budget: int | None = None
    patch: int = 1

    def fitted(self, size: Size) -> Size:
        """The size that a picture of this one is shown in: its own where that fits."""
        width, height = size
        if self.max_side is not None and (longest := max(width, height)) > self.max_side:
            width, height = (max(1, round(side * self.max_side / longest)) for side in (width, height))
        if self.pixel_budget is not None and width * height > self.pixel_budget:
            factor = math.sqrt(self.pixel_budget / (width * height))
            width, height = (max(1, int(side * factor)) for side in (width, height))
        if (width, height) == size or min(width, height) < self.patch:
            return width, height
        return self._in_patches(width, height)

    def _in_patches(self, width: int, height: int) -> Size:
        """The nearest multiples; the next smaller ones where those are beyond the limits."""
        nearest = tuple(round(side / self.patch) * self.patch for side in (width, height))
        beyond = (self.max_side is not None and max(nearest) > self.max_side) or (
            self.pixel_budget is not None and nearest[0] * nearest[1] > self.pixel_budget
        )
        if beyond:
            nearest = tuple(side // self.patch * self.patch for side in (width, height))
        return nearest[0], nearest[1]


AS_IT_IS = ImageScale()


def processor_scale(directory: Path) -> tuple[int, int | None]:
    """The patch (1 where it has none) and the most pixels of the image processor whose files lie there.

    Of processors that take an image's own shape, in patches of so many pixels, as those of the Qwen-VL
    family. Files that are absent, or say it otherwise, say nothing: the processor will do what it does.
    """
    for name in _PROCESSOR_FILES:
        try:
            said = json.loads((directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        said = said.get("image_processor", said) if isinstance(said, dict) else {}
        if not isinstance(said, dict):
            continue
        side, merged = said.get("patch_size"), said.get("merge_size")
        if isinstance(side, int) and isinstance(merged, int) and min(side, merged) > 0:
            return side * merged, _most_pixels(said)
    return 1, None


def _most_pixels(said: dict[str, Any]) -> int | None:
    size = said.get("size")
    longest = size.get("longest_edge") if isinstance(size, dict) else None  # of pixels, whatever its name
    given = [most for most in (said.get("max_pixels"), longest) if isinstance(most, int)]
    return next((most for most in given if most >= _LEAST_PIXELS), None)


def smaller(one: int | None, other: int | None) -> int | None:
    """The smaller of two limits, None being no limit."""
    return min((limit for limit in (one, other) if limit is not None), default=None)
