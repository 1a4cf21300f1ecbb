"""Rows of Parquet files, without reading a file whole: a row group of pictures may be larger than memory."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edit_rrm_training.errors import RowError

SUFFIX = ".parquet"


def parquet_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row's number, from 1, and its content. Raises RowError for a file that is not Parquet."""
    parquet = importlib.import_module("pyarrow.parquet")
    broken = importlib.import_module("pyarrow").ArrowException
    number = 0
    try:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=16):
            for content in batch.to_pylist():
                number += 1
                yield number, content
    except broken as error:
        raise RowError(file, 0, "", f"not Parquet: {error}") from error
