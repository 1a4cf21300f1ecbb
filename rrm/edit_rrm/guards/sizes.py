"""Sizes that editors give their pictures whatever the source's: no fault of the edit."""

import math

from edit_rrm.image_scale import Size

# FLUX.1-Kontext's and SDXL's training sizes, and what the hosted editors offer, each in both directions.
_SIDES = (
    (672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248), (880, 1184), (944, 1104),
    (896, 1152), (832, 1216), (768, 1344), (640, 1536),
    (1024, 1536), (864, 1184), (672, 1536), (1140, 1472), (928, 1664), (1104, 1472), (1056, 1584),
)  # fmt: skip
_OFFERED = frozenset(size for sides in _SIDES for size in (sides, sides[::-1]))
_MULTIPLES = (64, 32, 28, 16, 8)
_ROUNDING = 0.75  # of a multiple: two roundings of a half, seen from the area they left


def aspect_change(source: Size, candidate: Size) -> float:
    """The larger of the two aspect ratios / the smaller one - 1."""
    crossed = (source[0] * candidate[1], candidate[0] * source[1])
    return (max(crossed) - min(crossed)) / min(crossed)


def is_editors_size(source: Size, candidate: Size) -> bool:
    """Whether an editor's policy explains the candidate's size.

    A square of a multiple of 8, a size that is offered as such, or the source's shape with each side
    rounded to a multiple.
    """
    width, height = candidate
    if candidate in _OFFERED or (width == height and width % 8 == 0):
        return True
    multiple = next((m for m in _MULTIPLES if width % m == 0 and height % m == 0), 1)
    exact = math.sqrt(width * height * source[0] / source[1])
    return (
        abs(width - exact) <= _ROUNDING * multiple
        and abs(height - width * height / exact) <= _ROUNDING * multiple
    )
