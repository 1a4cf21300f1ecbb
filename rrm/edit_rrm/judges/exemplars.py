"""Pools of worked decompositions that the zero-shot profile shows; ours is `exemplars.json`."""

import random
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from edit_rrm.principles import Category

EditCategory = Literal[
    "background change",
    "colour alteration",
    "material modification",
    "motion change",
    "portrait beautification",
    "style transfer",
    "subject addition",
    "subject removal",
    "subject replacement",
    "text modification",
    "tone transformation",
]


class Exemplar(BaseModel):
    """One edit, its source image in words, and the principles an expert would write for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: EditCategory
    instruction: str = Field(min_length=1)
    source: str = Field(min_length=1)
    follow: tuple[str, ...] = Field(min_length=3, max_length=4)
    keep: tuple[str, ...] = Field(min_length=3, max_length=4)
    quality: tuple[str, ...] = Field(min_length=2, max_length=3)

    def questions(self, category: Category) -> tuple[str, ...]:
        """The questions of one category."""
        by_category = {
            Category.FOLLOW: self.follow,
            Category.KEEP: self.keep,
            Category.QUALITY: self.quality,
        }
        return by_category[category]


@cache
def exemplar_pool() -> tuple[Exemplar, ...]:
    """Every exemplar of our own pool, in the order of the file."""
    data = (resources.files("edit_rrm.judges") / "exemplars.json").read_bytes()
    return TypeAdapter(tuple[Exemplar, ...]).validate_json(data)


def read_exemplars(path: Path) -> tuple[Exemplar, ...]:
    """A pool in a file of the same form. Raises pydantic's ValidationError, a ValueError."""
    return TypeAdapter(tuple[Exemplar, ...]).validate_json(path.read_bytes())


def draw_exemplars(count: int, seed: int, pool: Sequence[Exemplar] | None = None) -> tuple[Exemplar, ...]:
    """`count` different exemplars, the same for the same seed, no edit category twice before each came once.

    Without a `pool`, from our own. Raises ValueError when the pool holds fewer.
    """
    pool = exemplar_pool() if pool is None else pool
    if not 0 <= count <= len(pool):
        raise ValueError(f"expected 0 to {len(pool)} exemplars, got {count}")
    shuffled = random.Random(seed).sample(pool, len(pool))
    seen: dict[str, int] = {}
    rounds = []
    for exemplar in shuffled:
        rounds.append(seen.get(exemplar.category, 0))
        seen[exemplar.category] = rounds[-1] + 1
    by_round = sorted(zip(rounds, shuffled, strict=True), key=lambda pair: pair[0])
    return tuple(exemplar for _, exemplar in by_round[:count])
