"""What every benchmark asks in the end: which of two edited images people preferred."""

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

Dimension = Literal["overall", "prompt_following", "consistency", "quality"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
Vote = Literal[1, 0, -1]
"""1: the left image was preferred, -1: the right one, 0: people saw no difference."""


@dataclass(frozen=True)
class Label:
    """A comparison without its images: what is kept in memory until everything is scored."""

    row: str
    """File and row, for messages."""
    group: str
    """Comparisons of one group depend on each other: they share an edit."""
    k: int
    """How many images of the group people ranked."""
    task: str
    dimension: Dimension
    vote: Vote


@dataclass(frozen=True)
class Comparison:
    """One row's question with the bytes of its image files."""

    label: Label
    instruction: str
    source: bytes
    left: bytes
    right: bytes
    more_sources: tuple[bytes, ...] = ()
    """After the first, of an edit that has several."""

    @property
    def sources(self) -> tuple[bytes, ...]:
        """All of them, in order."""
        return (self.source, *self.more_sources)


def edit_digest(instruction: str, *images: bytes) -> str:
    """The name of an edit, or of a candidate of it, by content alone."""
    digest = hashlib.sha256(instruction.encode())
    for image in images:
        digest.update(hashlib.sha256(image).digest())
    return digest.hexdigest()
