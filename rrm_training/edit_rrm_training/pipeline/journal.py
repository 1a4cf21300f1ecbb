"""The file of a step: rows appended one by one, so that a killed step goes on where it was.

A row is written in one call and flushed to the system: killing the process loses at most the row being
written, whose torn half is cut off at the next start. A power cut may lose more. One process writes at once.
"""

import fcntl
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from edit_rrm_training.data.jsonl import numbered_rows
from edit_rrm_training.errors import RowError, StepError
from edit_rrm_training.pipeline.rows import Row

R = TypeVar("R", bound=Row)


def read_unique(path: Path, model: type[R]) -> Iterator[R]:
    """The rows of a file; a repeated id is a RowError."""
    seen: set[str] = set()
    for number, row in numbered_rows(path, model):
        if row.id in seen:
            raise RowError(path, number, "id", f"{row.id!r} was there before")
        seen.add(row.id)
        yield row


class Journal(Generic[R]):
    """Use as a context manager; `ids` are those already written."""

    def __init__(self, path: Path, model: type[R]) -> None:
        self._path = path
        self._model = model
        self.ids: set[str] = set()

    def __enter__(self) -> "Journal[R]":
        """Raises StepError when another process writes the file, RowError for a file of something else."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise StepError(f"{self._path} is being written by another process") from error
        self._cut_torn_row()
        self.ids = {row.id for row in self.rows()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def rows(self) -> Iterator[R]:
        """What is written so far."""
        return read_unique(self._path, self._model)

    def append(self, row: R) -> None:
        """Writes one row."""
        self._file.write(row.model_dump_json(exclude_defaults=True).encode() + b"\n")
        self._file.flush()
        self.ids.add(row.id)

    def clear(self) -> None:
        """Forgets all rows."""
        self._file.truncate(0)
        self.ids = set()

    def _cut_torn_row(self) -> None:
        end = self._file.seek(0, 2)
        block = 1 << 16
        position = end
        while position > 0:
            start = max(0, position - block)
            self._file.seek(start)
            newline = self._file.read(position - start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < end:
            self._file.truncate(position)
