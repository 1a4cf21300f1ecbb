"""Files of models: a bad row is an error that names file, row and field; a file is written whole.

JSONL is read and written, since rows can be appended to it one by one; Parquet is read.
"""

import codecs
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from pydantic import BaseModel, ValidationError

from edit_rrm_training.data.parquet import SUFFIX, parquet_rows
from edit_rrm_training.errors import RowError

M = TypeVar("M", bound=BaseModel)


def read_rows(path: Path, model: type[M]) -> Iterator[M]:
    """One model a line of JSONL, empty lines left out, or a row of a `.parquet` file. Raises RowError.

    The text is UTF-8; a byte order mark before it is let be.
    """
    return (row for _, row in numbered_rows(path, model))


def numbered_rows(path: Path, model: type[M]) -> Iterator[tuple[int, M]]:
    """`read_rows`, each with the number of its line, or row, from 1."""
    for number, content in parquet_rows(path) if path.suffix == SUFFIX else _lines(path):
        try:
            if isinstance(content, str):
                yield number, model.model_validate_json(content)
            else:
                yield number, model.model_validate(content)
        except ValidationError as error:
            raise RowError.from_validation(path, number, error) from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1:
                if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise RowError(path, 0, "", "expected UTF-8, got UTF-16")
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise RowError(
                    path, number, "", f"expected UTF-8, got byte 0x{line[error.start]:02x} at {error.start}"
                ) from error
            if text.strip():
                yield number, text


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """A file to write that appears under its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        yield file
    os.replace(partial, path)


def write_rows(path: Path, rows: Iterable[BaseModel]) -> int:
    """Writes one line a model, whole; returns their number."""
    count = 0
    with whole_file(path) as file:
        for row in rows:
            file.write(row.model_dump_json(exclude_none=True) + "\n")
            count += 1
    return count
