"""Decides what treatment, background and things explain a picture best, all of them together.

Tone and cast change every colour, so a background's level alone leaves several explanations; the things'
colours decide between them. It sees levels and cell fits, no pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edit_rrm_shapes.oracle.levels import Ground, meant, shown
from edit_rrm_shapes.oracle.matching import CellFit
from edit_rrm_shapes.oracle.treatments import (
    CAST_STRENGTHS,
    TONE_STRENGTHS,
    Treatments,
    all_treatments,
    around,
    treatments,
)
from edit_rrm_shapes.world.scene import BACKGROUNDS, Thing

COLOUR_ERROR = 2.5
"""Standard deviation, in levels, that a colour may be off by for reasons that are none of a scene's."""
_COLOUR_ERROR_PER_BLUR = 2.0
"""What a pixel of blur adds to that for things: their edges and patterns run into their colours."""
_DOUBT = 12.0
"""Hypotheses whose background alone costs so much more than the best one's are dropped."""
_PER_BACKGROUND = 6
_THING_COST = 12.0
"""What a thing must gain over the empty cell, in units of the noise's variance."""


@dataclass(frozen=True)
class Placed:
    """A thing with its pose and field among the templates and the levels of its two paints."""

    thing: Thing
    pose: int  # into POSES
    field: int
    colour: np.ndarray  # [3]
    pattern: np.ndarray  # [3]


@dataclass(frozen=True)
class Explanation:
    """What was decided; `placed` holds each thing beside how it was fitted."""

    tone: str
    tone_strength: float
    cast: str | None
    cast_strength: float
    background: str
    lower_background: str | None
    placed: tuple[Placed, ...]


@dataclass(frozen=True)
class _Best:
    cost: float
    under: Treatments
    background: int


def _ground_cost(under: Treatments, ground: Ground, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """[hypotheses, backgrounds] cost of the upper half, plus the lower half's best; and which that is."""

    def cost(level: np.ndarray) -> np.ndarray:
        distances = ((under.backgrounds - meant(level, noise)) ** 2).sum(-1)
        return np.asarray(distances / (2 * COLOUR_ERROR**2))

    upper = cost(ground.upper)
    if not ground.mixed:
        return upper, np.broadcast_to(np.arange(len(BACKGROUNDS)), upper.shape)
    lower = cost(ground.lower)
    return upper + lower.min(1, keepdims=True), np.broadcast_to(lower.argmin(1)[:, None], upper.shape)


def _things_cost(fits: Sequence[CellFit], under: Treatments, noise: float, colour_error: float) -> np.ndarray:
    """[hypotheses]"""
    cost = np.zeros(len(under.tone_strengths))
    for fit in fits:
        best = fit.residuals(under, noise).min((1, 2, 3)) + _price(noise)
        spread = 2 * (colour_error**2 + noise**2 / fit.area)
        cost += np.minimum(best, fit.empty) / (fit.area * spread)
    return cost


def _price(noise: float) -> float:
    return _THING_COST * max(noise, COLOUR_ERROR) ** 2


def _best(
    groups: Sequence[Treatments], ground: Ground, fits: Sequence[CellFit], noise: float, colour_error: float
) -> _Best:
    costs = [_ground_cost(group, ground, noise)[0] + group.cost for group in groups]
    limit = min(cost.min() for cost in costs) + _DOUBT
    found = []
    for group, cost in zip(groups, costs, strict=True):
        count = min(_PER_BACKGROUND, len(cost))
        likely = np.unique(np.argpartition(cost, count - 1, axis=0)[:count])
        likely = likely[cost[likely].min(1) <= limit]
        if not len(likely):
            continue
        under = group.take(likely)
        total = cost[likely] + _things_cost(fits, under, noise, colour_error)[:, None]
        hypothesis, background = np.unravel_index(total.argmin(), total.shape)
        found.append(_Best(float(total.min()), under.take(np.array([hypothesis])), int(background)))
    return min(found, key=lambda best: best.cost)


def explain(ground: Ground, fits: Sequence[CellFit], noise: float, blur: float) -> Explanation:
    """The cheapest explanation, its strengths refined between the grid's steps."""
    colour_error = COLOUR_ERROR + _COLOUR_ERROR_PER_BLUR * blur
    fits = [fit.take(fit.best_poses(per_shape=2)) for fit in fits]
    rough = _best(all_treatments(), ground, fits, noise, colour_error).under
    finer = treatments(
        rough.tone, rough.cast,
        around(float(rough.tone_strengths[0]), rough.tone != "normal", 0.005, TONE_STRENGTHS[0]),
        around(float(rough.cast_strengths[0]), rough.cast is not None, 0.0075, CAST_STRENGTHS[0]),
    )  # fmt: skip
    best = _best([finer], ground, fits, noise, colour_error)
    lower = int(_ground_cost(best.under, ground, noise)[1][0, best.background])
    placed = []
    for fit in sorted(fits, key=lambda fit: fit.cell):
        residuals = fit.residuals(best.under, noise)[0]
        if residuals.min() + _price(noise) >= fit.empty:
            continue
        colour, pose, field = (int(n) for n in np.unravel_index(residuals.argmin(), residuals.shape))
        placed.append(
            Placed(
                fit.thing(colour, pose, field), int(fit.poses[pose]), field,
                shown(best.under.colours[0, colour], noise), shown(best.under.patterns[0, colour], noise),
            )
        )  # fmt: skip
    names = list(BACKGROUNDS)
    return Explanation(
        best.under.tone, float(best.under.tone_strengths[0]),
        best.under.cast, float(best.under.cast_strengths[0]),
        names[best.background], None if lower == best.background else names[lower], tuple(placed),
    )  # fmt: skip
