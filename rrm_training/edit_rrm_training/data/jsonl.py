"""Reads JSONL files into models; a bad row is an error that names file, row and field."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from edit_rrm_training.errors import RowError

M = TypeVar("M", bound=BaseModel)


def read_rows(path: Path, model: type[M]) -> Iterator[M]:
    """One model a line, empty lines left out. Raises RowError."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield model.model_validate_json(line)
            except ValidationError as error:
                raise RowError.from_validation(path, number, error) from error
