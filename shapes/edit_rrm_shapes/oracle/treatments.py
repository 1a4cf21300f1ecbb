"""Every tone and colour cast a picture can be under, as a grid, and the colours of the world under each."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edit_rrm_shapes.oracle.templates import pattern_colours
from edit_rrm_shapes.world.render import cast_gain, toned
from edit_rrm_shapes.world.scene import BACKGROUNDS, CASTS, COLOURS, TONES

TONE_STRENGTHS = np.arange(0.05, 1.001, 0.02)
CAST_STRENGTHS = np.arange(0.4, 1.001, 0.025)
"""A weaker cast is none: utility counts a cast's strength from 0.4 on."""
NONE = np.zeros(1)
TONE_COST, CAST_COST = 0.7, 5.0
"""What a treatment must gain, in units of half a squared standard deviation, before it is assumed."""


@dataclass(frozen=True)
class Treatments:
    """`count` hypotheses of one tone and one cast each, at strengths of their own."""

    tone: str
    cast: str | None
    tone_strengths: np.ndarray  # [count]
    cast_strengths: np.ndarray  # [count]
    backgrounds: np.ndarray  # [count, 6, 3] levels as they would show, up to 255
    colours: np.ndarray  # [count, 8, 3]
    patterns: np.ndarray  # [count, 8, 3]

    @property
    def cost(self) -> float:
        """The prior's cost: an untreated picture is assumed as long as it fits."""
        return TONE_COST * (self.tone != "normal") + CAST_COST * (self.cast is not None)

    def take(self, chosen: np.ndarray) -> "Treatments":
        """The hypotheses with these numbers."""
        return Treatments(
            self.tone, self.cast, self.tone_strengths[chosen], self.cast_strengths[chosen],
            self.backgrounds[chosen], self.colours[chosen], self.patterns[chosen],
        )  # fmt: skip


def treatments(
    tone: str, cast: str | None, tone_strengths: np.ndarray, cast_strengths: np.ndarray
) -> Treatments:
    """All combinations of the strengths."""
    tones, casts = (grid.ravel() for grid in np.meshgrid(tone_strengths, cast_strengths, indexing="ij"))
    palette = np.array([*BACKGROUNDS.values(), *COLOURS.values()], dtype=np.float64)
    palette = np.concatenate([palette, pattern_colours()])
    levels = np.broadcast_to(toned(palette, tone, tones[:, None, None]), (len(tones), *palette.shape))
    if cast is not None:
        levels = levels * cast_gain(cast, casts[:, None, None])
    first, second = len(BACKGROUNDS), len(BACKGROUNDS) + len(COLOURS)
    levels = np.clip(levels, 0, 255)
    return Treatments(
        tone, cast, tones, casts, levels[:, :first], levels[:, first:second], levels[:, second:]
    )


@lru_cache(maxsize=1)
def all_treatments() -> tuple[Treatments, ...]:
    """The grid: one entry for each pair of a tone (or none) and a cast (or none)."""
    return tuple(
        treatments(
            tone, cast,
            NONE if tone == "normal" else TONE_STRENGTHS, NONE if cast is None else CAST_STRENGTHS,
        )
        for tone in ("normal", *TONES) for cast in (None, *CASTS)
    )  # fmt: skip


def around(strength: float, present: bool, step: float, low: float) -> np.ndarray:
    """Five finer steps to either side of a strength, within its range; nothing around none."""
    if not present:
        return NONE
    return np.unique(np.clip(strength + step * np.arange(-5, 6), low, 1.0))
