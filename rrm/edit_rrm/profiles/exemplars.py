"""The pool of worked decompositions that the zero-shot profile shows, written by hand in `exemplars.json`."""

import random
from functools import cache
from importlib import resources
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
    """Every exemplar, in the order of the file."""
    data = (resources.files("edit_rrm.profiles") / "exemplars.json").read_bytes()
    return TypeAdapter(tuple[Exemplar, ...]).validate_json(data)


def draw_exemplars(count: int, seed: int) -> tuple[Exemplar, ...]:
    """`count` different exemplars, the same for the same seed, no edit category twice before each came once.

    Raises ValueError when the pool holds fewer.
    """
    pool = exemplar_pool()
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
