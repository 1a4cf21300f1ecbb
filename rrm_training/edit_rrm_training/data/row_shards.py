"""Writes SFT rows as shards of JSONL or Parquet, each whole or not there."""

import importlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from edit_rrm_training.data.jsonl import write_rows
from edit_rrm_training.data.parquet import SUFFIX as PARQUET
from edit_rrm_training.data.pictures import image_file, rebased
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.data.shards import JSONL
from edit_rrm_training.data.tar_shards import part_of

ShardFormat = Literal["parquet", "jsonl"]
_ROWS_A_GROUP = 256


def shard_names(rows: int, shard_rows: int, kind: ShardFormat) -> list[str]:
    """The names of the shards that so many rows make."""
    count = -(-rows // shard_rows)
    suffix = PARQUET if kind == "parquet" else JSONL
    return [f"rows-{number:05}-of-{count:05}{suffix}" for number in range(1, count + 1)]


def moved(row: SftRow, old: Path, new: Path) -> SftRow:
    """The row for a file in another folder: its paths lead where they led, parts of archives are read."""

    def there(reference: str | bytes) -> str | bytes:
        inside = isinstance(reference, str) and part_of(reference) is not None
        return image_file(reference, old) if inside else rebased(reference, old, new)

    candidate = None if row.candidate is None else there(row.candidate)
    return row.model_copy(update={"source": there(row.source), "candidate": candidate})


def write_shard(path: Path, rows: Iterable[SftRow]) -> None:
    """Writes a shard, JSONL or Parquet by its suffix. In Parquet pictures are structs of bytes and path, as
    Hugging Face's datasets have them."""
    if path.suffix == JSONL:
        write_rows(path, rows)
        return
    pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    schema = _schema(pyarrow)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with parquet.ParquetWriter(partial, schema) as writer:
        for group in _groups(rows):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
    os.replace(partial, path)


def _groups(rows: Iterable[SftRow]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        pictures = {"source": _hub_image(row.source), "candidate": _hub_image(row.candidate)}
        group.append({**row.model_dump(mode="json", exclude={"source", "candidate"}), **pictures})
        if len(group) == _ROWS_A_GROUP:
            yield group
            group = []
    if group:
        yield group


def _hub_image(reference: str | bytes | None) -> dict[str, Any] | None:
    if reference is None:
        return None
    inside = isinstance(reference, bytes)
    return {"bytes": reference if inside else None, "path": None if inside else reference}


def _schema(pyarrow: Any) -> Any:
    text = pyarrow.string()
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", text)])
    principle = pyarrow.struct(
        [("id", text), ("question", text), ("category", text), ("weight", pyarrow.float64())]
    )
    types = dict.fromkeys(SftRow.model_fields, text) | {
        "source": image, "candidate": image, "principles": pyarrow.list_(principle),
    }  # fmt: skip
    return pyarrow.schema(list(types.items()))
