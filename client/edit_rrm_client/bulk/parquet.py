"""Parquet, in and out. The one place that knows pyarrow, which is loaded when it is first needed."""

from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from edit_rrm_client.bulk.durable import partial_of, put_in_place
from edit_rrm_client.bulk.errors import InputError, MissingExtraError
from edit_rrm_client.bulk.rows import IMAGE_COLUMNS, ResultRow

ROWS_A_READ = 64  # rows held while reading: images may be embedded
ROWS_A_GROUP = 1000
GROUP_BYTES = 64 * 2**20  # a row group is written sooner when its images reach this


class ParquetWriter:
    """Writes rows in row groups beside `path` and puts the file in its place at the end."""

    def __init__(self, path: Path) -> None:
        arrow, parquet = _pyarrow()
        self._path = path
        self._table = arrow.Table
        self._schema = result_schema()
        self._writer = parquet.ParquetWriter(partial_of(path), self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._image_bytes = 0

    def write(self, row: ResultRow) -> None:
        """Takes one row; a full row group goes to the disk."""
        self._rows.append(row.model_dump(mode="python"))
        self._image_bytes += sum(len(getattr(row, name) or b"") for name in IMAGE_COLUMNS)
        if len(self._rows) >= ROWS_A_GROUP or self._image_bytes >= GROUP_BYTES:
            self._flush()

    def __enter__(self) -> "ParquetWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._rows:
                self._flush()
        finally:
            self._writer.close()
        if kind is None:
            put_in_place(self._path)
        else:
            partial_of(self._path).unlink()

    def _flush(self) -> None:
        self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._image_bytes = [], 0


def result_schema() -> Any:
    """The Arrow schema of a results file: the fields of `ResultRow`, in its order."""
    arrow, _ = _pyarrow()
    text, number, flag = arrow.string(), arrow.float64(), arrow.bool_()
    verdict = arrow.struct(
        {
            "principle": text,
            "question": text,
            "category": text,
            "weight": number,
            "met": flag,
            "probability": number,
            "evidence": text,
        }
    )
    guard = arrow.struct({"name": text, "triggered": flag, "value": number, "decides": flag, "note": text})
    subscore = arrow.struct({"name": text, "value": number})
    special = {
        "candidate": arrow.int32(),
        **dict.fromkeys(IMAGE_COLUMNS, arrow.binary()),
        "verdicts": arrow.list_(verdict),
        "subscores": arrow.list_(subscore),
        "guards": arrow.list_(guard),
        **dict.fromkeys(
            ("reward", "score", "average", "follow", "keep", "quality", "disagreement", "total_s"), number
        ),
    }
    return arrow.schema([(name, special.get(name, text)) for name in ResultRow.model_fields])


def read_parquet(path: Path, without: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of any Parquet file, a few at a time. Raises InputError for what is none."""
    file = _opened(path)
    columns = [name for name in file.schema_arrow.names if name not in without]
    for batch in file.iter_batches(batch_size=ROWS_A_READ, columns=columns):
        yield from batch.to_pylist()


def parquet_shape(path: Path) -> tuple[int, tuple[str, ...]]:
    """How many rows a Parquet file has, and its columns, without reading them."""
    file = _opened(path)
    return file.metadata.num_rows, tuple(file.schema_arrow.names)


def _opened(path: Path) -> Any:
    arrow, parquet = _pyarrow()
    try:
        return parquet.ParquetFile(path)
    except (OSError, arrow.ArrowException) as error:
        raise InputError(f"{path}: cannot read it as Parquet: {error}") from error


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("Parquet", "bulk") from error
