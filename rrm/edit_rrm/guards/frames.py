"""Frames and bars that a candidate has and its source lacks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]  # [height, width, 3]
Colour = npt.NDArray[np.float64]  # [3]

DEEPEST = 0.35  # of a side: what is left of the image lies in the middle of it
_FLATNESS = 0.93  # share of each line of a bar that has the bar's colour
_VISIBLE = 0.6  # share of the line inside a bar that differs from its last line
_STEP = 4  # lines within which it does: a sky that grows darker has no such line
_VISIBLE_ALONE = 0.85  # of a bar without one opposite: a wall above a table's edge has such a line too
_DEEPEST_ALONE = 0.2  # of a side
_DEPTH_SLACK = 2  # pixels by which two measurements of one depth may differ
_HAD = 0.5  # share of a bar's pixels from which on the source had it already


@dataclass(frozen=True)
class _Bar:
    depth: int  # pixels
    colour: Colour
    visible: float
    """Share of the line inside it that differs."""


def added_depth(before: Pixels, after: Pixels, tolerance: int) -> float:
    """Share of the side that the thinnest bar of the candidate's own takes; 0 without one.

    A bar is a run of lines of one colour from an edge on, up to `tolerance` of 255, that ends at a straight
    line along which most of the image differs from it. On a plain background objects lie only here and
    there, and a background the source had is none.
    """
    bars = _bars(after, tolerance)
    had = _bars(before, 2 * tolerance) if bars else {}  # what the source nearly had, an edit may even out
    added = {
        side: bar
        for side, bar in bars.items()
        if not _had(_turned(before, side), had.get(side), bar, tolerance)
    }
    shares = []
    for side, bar in added.items():
        share = bar.depth / _turned(after, side).shape[0]
        if side ^ 1 in added or (bar.visible >= _VISIBLE_ALONE and share <= _DEEPEST_ALONE):
            shares.append(share)
    return min(shares, default=0.0)


# Sides are top, bottom, left, right: the opposite one is `side ^ 1`.
_BESIDE = ((2, 3), (2, 3), (0, 1), (0, 1))


def _turned(pixels: Pixels, side: int) -> Pixels:
    """A view whose first line is the outermost of that side."""
    if side >= 2:
        pixels = pixels.transpose(1, 0, 2)
    return pixels[::-1] if side % 2 else pixels


def _bars(pixels: Pixels, tolerance: int) -> dict[int, _Bar]:
    """The bars of an image by their sides."""
    turns = [_turned(pixels, side) for side in range(4)]
    runs = [_run(turned, tolerance) for turned in turns]
    bars = {}
    for side, (turned, (depth, colour)) in enumerate(zip(turns, runs, strict=True)):
        # the bars beside this one cross its inner line
        left, right = (runs[other][0] for other in _BESIDE[side])
        across = np.s_[left : turned.shape[1] - right]
        inside = turned[depth : depth + _STEP, across]
        if depth and inside.size:
            visible = _differing(inside, turned[depth - 1, across], tolerance)
            if visible >= _VISIBLE:
                bars[side] = _Bar(depth, colour, visible)
    return bars


def _run(turned: Pixels, tolerance: int) -> tuple[int, Colour]:
    """How many lines have the outermost ones' colour, and that colour; 0 where they go too deep."""
    length = turned.shape[0]
    colour = np.median(turned[:2].reshape(-1, 3), axis=0)
    if _matches(turned[:1], colour, tolerance).mean() < _FLATNESS:
        return 0, colour  # most pictures end here
    deepest = int(DEEPEST * length) + 1
    shares = _matches(turned[:deepest], colour, tolerance).mean(axis=1)
    others = np.flatnonzero(shares < _FLATNESS)
    return (int(others[0]) if others.size else 0), colour


def _had(turned: Pixels, own: _Bar | None, bar: _Bar, tolerance: int) -> bool:
    """Whether the source has a bar as deep there, of any colour, or mostly this colour."""
    if own is not None and own.depth >= bar.depth - _DEPTH_SLACK:
        return True
    return bool(_matches(turned[: bar.depth], bar.colour, tolerance).mean() >= _HAD)


def _differing(lines: Pixels, line: Pixels, tolerance: int) -> float:
    """The largest share of one of the lines that differs from another line at the same place."""
    distance = np.abs(lines.astype(np.int16) - line.astype(np.int16)).max(axis=-1)
    return float((distance > tolerance).mean(axis=1).max())


def _matches(pixels: Pixels, colour: Colour, tolerance: int) -> npt.NDArray[np.bool_]:
    """Which pixels ([..., 3]) lie within `tolerance` of a colour in every channel."""
    low = np.clip(np.floor(colour) - tolerance, 0, 255).astype(np.uint8)
    high = np.clip(np.ceil(colour) + tolerance, 0, 255).astype(np.uint8)
    matches: npt.NDArray[np.bool_] = np.all((pixels >= low) & (pixels <= high), axis=-1)
    return matches
