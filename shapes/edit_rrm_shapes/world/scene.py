"""Scenes of the shapes world: a few things on a 3×3 grid, a background, and how the picture was treated."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 36, 36),
    "green": (34, 150, 60),
    "blue": (36, 76, 224),
    "yellow": (244, 220, 36),
    "purple": (140, 44, 180),
    "orange": (246, 138, 24),
    "white": (252, 252, 252),
    "black": (18, 18, 18),
}
FILLS = ("solid", "striped", "dotted")
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "gray": (150, 150, 150),
    "pink": (246, 170, 198),
    "cyan": (140, 216, 226),
    "brown": (130, 90, 58),
    "beige": (228, 208, 166),
    "lavender": (188, 176, 236),
}
TONES = ("darker", "brighter", "warmer")
CASTS = ("green", "blue")
CELLS = (
    "top left", "top", "top right",
    "left", "center", "right",
    "bottom left", "bottom", "bottom right",
)  # fmt: skip

# A tone change weaker than this is not significant: its principle is not met.
TONE_THRESHOLD = 0.3
BASE_NOISE = 3.0
"""Standard deviation, in 8-bit levels, of the sensor noise every picture has."""


@dataclass(frozen=True)
class Thing:
    """One object. `cell` indexes CELLS; `dx`, `dy` and `radius` are in pixels of the 96-pixel picture."""

    shape: str
    colour: str
    fill: str
    cell: int
    dx: int
    dy: int
    radius: int


@dataclass(frozen=True)
class Scene:
    """Everything a picture shows. Strengths are 0 when the treatment is absent."""

    things: tuple[Thing, ...]
    background: str
    lower_background: str | None = None
    """The lower half's background where an editor changed only the upper half."""
    tone: str = "normal"
    tone_strength: float = 0.0
    noise: float = BASE_NOISE
    blur: float = 0.0
    """Radius of a Gaussian blur in pixels."""
    frame: int = 0
    """Width of a white frame in pixels."""
    cast: str | None = None
    cast_strength: float = 0.0

    def at(self, cell: int) -> Thing | None:
        """The thing in a cell, if any."""
        return next((thing for thing in self.things if thing.cell == cell), None)

    def free_cells(self) -> list[int]:
        """Cells without a thing, ascending."""
        taken = {thing.cell for thing in self.things}
        return [cell for cell in range(len(CELLS)) if cell not in taken]


def other_than(rng: random.Random, choices: Collection[str], *excluded: str | None) -> str:
    """A uniform draw from `choices` without the excluded ones."""
    return rng.choice([choice for choice in choices if choice not in excluded])


def cell_distance(a: int, b: int) -> int:
    """Chebyshev distance between two cells, 0 to 2."""
    return max(abs(a // 3 - b // 3), abs(a % 3 - b % 3))


def place(rng: random.Random, shape: str, colour: str, fill: str, cell: int) -> Thing:
    """A thing in a cell with random jitter and size."""
    return Thing(shape, colour, fill, cell, rng.randint(-3, 3), rng.randint(-3, 3), rng.randint(9, 13))


def random_scene(rng: random.Random, colours: Sequence[str] = tuple(COLOURS)) -> Scene:
    """Two to four things of distinct (colour, shape) in distinct cells, half of them solid."""
    count = rng.choices((2, 3, 4), weights=(35, 45, 20))[0]
    kinds: set[tuple[str, str]] = set()
    while len(kinds) < count:
        kinds.add((rng.choice(colours), rng.choice(SHAPES)))
    cells = rng.sample(range(len(CELLS)), count)
    things = [
        place(rng, shape, colour, rng.choices(FILLS, weights=(2, 1, 1))[0], cell)
        for (colour, shape), cell in zip(sorted(kinds), cells, strict=True)
    ]
    things.sort(key=lambda thing: thing.cell)
    return Scene(tuple(things), rng.choice(list(BACKGROUNDS)))


def scene_of_look_alikes(rng: random.Random) -> Scene:
    """A scene in two colours: most things have another of their colour, and only the shape tells them apart.

    In `random_scene` one thing in seven has such a neighbour.
    """
    return random_scene(rng, rng.sample(tuple(COLOURS), 2))
