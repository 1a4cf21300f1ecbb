"""Looks up rows in a file that may be larger than memory: only their places are kept."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from pydantic import ValidationError

from edit_rrm.row_ids import as_text
from edit_rrm_training.errors import RowError
from edit_rrm_training.pipeline.rows import Row

R = TypeVar("R", bound=Row)


class Grouped(Generic[R]):
    """The rows of a file by one of their fields. A context manager; the file must not change meanwhile."""

    def __init__(self, path: Path, model: type[R], field: str = "quadruple") -> None:
        self._path = path
        self._model = model
        self._field = field
        self._places: dict[str, list[tuple[int, int]]] = {}  # row number and offset

    def __enter__(self) -> "Grouped[R]":
        """Raises RowError for a line that is no row with that field, as a killed step may leave its last."""
        self._file = self._path.open("rb")
        place = 0
        for number, line in enumerate(self._file, start=1):
            if line.strip():
                self._places.setdefault(self._key(number, line), []).append((number, place))
            place += len(line)
        return self

    def _key(self, number: int, line: bytes) -> str:
        try:
            return str(as_text(json.loads(_without_mark(number, line))[self._field]))
        except (ValueError, KeyError, TypeError) as error:
            self._file.close()
            raise RowError(self._path, number, self._field, f"no row of this step: {line[:80]!r}") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def rows(self) -> Iterator[R]:
        """Every row, in the order of the field's values: the order of the file does not matter."""
        for key in sorted(self._places):
            yield from self.of(key)

    def of(self, key: str) -> tuple[R, ...]:
        """The rows with that value, in the order of their ids; empty when there are none. Raises RowError."""
        rows = []
        for number, place in self._places.get(key, ()):
            self._file.seek(place)
            try:
                rows.append(self._model.model_validate_json(_without_mark(number, self._file.readline())))
            except ValidationError as error:
                raise RowError.from_validation(self._path, number, error) from error
        return tuple(sorted(rows, key=lambda row: row.id))


def _without_mark(number: int, line: bytes) -> bytes:
    return line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
