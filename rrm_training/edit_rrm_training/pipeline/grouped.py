"""Looks up rows in a file that may be larger than memory: only their places are kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from edit_rrm_training.pipeline.rows import Row

R = TypeVar("R", bound=Row)


class Grouped(Generic[R]):
    """The rows of a file by one of their fields. A context manager; the file must not change meanwhile."""

    def __init__(self, path: Path, model: type[R], field: str = "quadruple") -> None:
        self._path = path
        self._model = model
        self._field = field
        self._places: dict[str, list[int]] = {}

    def __enter__(self) -> "Grouped[R]":
        self._file = self._path.open("rb")
        place = 0
        for line in self._file:
            if line.strip():
                self._places.setdefault(json.loads(line)[self._field], []).append(place)
            place += len(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def rows(self) -> Iterator[R]:
        """Every row, in the order of the field's values: the order of the file does not matter."""
        for key in sorted(self._places):
            yield from self.of(key)

    def of(self, key: str) -> tuple[R, ...]:
        """The rows with that value, in the order of their ids; empty when there are none."""
        rows = []
        for place in self._places.get(key, ()):
            self._file.seek(place)
            rows.append(self._model.model_validate_json(self._file.readline()))
        return tuple(sorted(rows, key=lambda row: row.id))
