"""A part of a list, for processes that share it: every n-th, into a file of its own, joined by `cat`."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_FORM = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 1, of `count`: every count-th edit, so that all take about as long."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From "2/8". Raises ValueError."""
        found = _FORM.fullmatch(text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError(f"expected a part like 2/8, from 1/8 to 8/8, got {text!r}")
        return cls(int(found[1]), int(found[2]))

    def of(self, things: Iterable[T]) -> Iterator[T]:
        """This part of them."""
        return (thing for place, thing in enumerate(things) if place % self.count == self.number - 1)

    def file(self, out: Path) -> Path:
        """Where this part is written: beside `out`, which the parts are joined to."""
        return (
            out if self.count == 1 else out.with_name(f"{out.stem}.{self.number}-of-{self.count}{out.suffix}")
        )

    def join(self, out: Path) -> str:
        """The command that makes one file of all parts."""
        return f"cat {out.with_name(f'{out.stem}.*-of-{self.count}{out.suffix}')} > {out}"


WHOLE = Shard()
