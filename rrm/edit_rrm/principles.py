"""Principles: the verifiable questions an edit is judged by, and their categories."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edit_rrm.exact_types import EXACT
from edit_rrm.untrusted_text import visible


class Category(StrEnum):
    """What a principle asks about: the instruction, what must stay, or the image's quality."""

    FOLLOW = "follow"
    KEEP = "keep"
    QUALITY = "quality"


class Principle(BaseModel):
    """One yes/no question about an edit. It depends on source and instruction, never on the candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=64)
    question: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(visible)]
    category: Category
    weight: Annotated[float, Field(gt=0.0, le=100.0, allow_inf_nan=False), EXACT] = 1.0


def numbered(questions: Iterable[tuple[Category | str, str]]) -> tuple[Principle, ...]:
    """Principles p1, p2, … from (category, question) pairs, all of weight 1."""
    return tuple(
        Principle(id=f"p{number}", question=question, category=Category(category))
        for number, (category, question) in enumerate(questions, start=1)
    )


def count_by_category(principles: Sequence[Principle]) -> dict[Category, int]:
    """How many principles each category has; absent categories count 0."""
    counts = dict.fromkeys(Category, 0)
    for principle in principles:
        counts[principle.category] += 1
    return counts
