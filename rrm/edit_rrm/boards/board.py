"""What a run shows, and the protocol of whatever shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from PIL import Image


@dataclass(frozen=True)
class Table:
    """Texts and numbers in named columns; a cell that has none is None."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]


class Board(Protocol):
    """Shows what a run tells it. Steps never fall, and several things may be told of one step."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """One point of a curve for each name."""
        ...

    def picture(self, step: int, name: str, image: Image.Image) -> None:
        """An RGB picture, in the series `name`."""
        ...

    def table(self, step: int, name: str, table: Table) -> None:
        """A table, in the series `name`."""
        ...

    def close(self, *, failed: bool = False) -> None:
        """No more is told; `failed` says that the run ended by an error. Closing again changes nothing."""
        ...
