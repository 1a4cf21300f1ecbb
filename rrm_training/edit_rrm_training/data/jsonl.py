"""Files of models: a bad row is an error that names file, row and field; a file is written whole.

JSONL is read and written, since rows can be appended to it one by one; Parquet, tar shards and folders of
`datasets` are read.
"""

import codecs
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

from edit_rrm_training.data import arrow_folders, parquet, tar_shards
from edit_rrm_training.errors import RowError

M = TypeVar("M", bound=BaseModel)


def read_rows(path: Path, model: type[M]) -> Iterator[M]:
    """One model a row: a line of JSONL (empty lines left out), a row of a `.parquet` file, of a `.tar`, or of
    a folder that `datasets` saved (shards.py has the names). Raises RowError.

    The text is UTF-8; a byte order mark before it is let be.
    """
    return (row for _, row in numbered_rows(path, model))


def numbered_rows(path: Path, model: type[M]) -> Iterator[tuple[int, M]]:
    """`read_rows`, each with the number of its line, or row, from 1."""
    for number, row in checked_rows(path, model):
        if isinstance(row, RowError):
            raise row
        yield number, row


def checked_rows(path: Path, model: type[M]) -> Iterator[tuple[int, M | RowError]]:
    """`numbered_rows` that goes on: where a row is bad, its error stands. Raises RowError for a bad file."""
    for number, content in _contents(path):
        if isinstance(content, RowError):
            yield number, content
            continue
        try:
            if isinstance(content, str):
                yield number, model.model_validate_json(content)
            else:
                yield number, model.model_validate(content)
        except ValidationError as error:
            yield number, RowError.from_validation(path, number, error)


def _contents(path: Path) -> Iterator[tuple[int, str | dict[str, Any] | RowError]]:
    if path.suffix == parquet.SUFFIX:
        return parquet.parquet_rows(path)
    if path.suffix == tar_shards.SUFFIX:
        return tar_shards.tar_rows(path)
    if path.name == arrow_folders.MARK:
        return arrow_folders.arrow_rows(path)
    return _lines(path)


def _lines(path: Path) -> Iterator[tuple[int, str | RowError]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1:
                if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise RowError(path, 0, "", "expected UTF-8, got UTF-16")
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                detail = f"expected UTF-8, got byte 0x{line[error.start]:02x} at {error.start}"
                yield number, RowError(path, number, "", detail)
                continue
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
