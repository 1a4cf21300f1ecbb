"""The raw rows of an input, whichever of the four layouts it has. Knows no column by name but a folder's.

A record is what one row says, or why it could not be read. Reading holds a few rows, never the file.
"""

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.keys import KeySet

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
INSTRUCTIONS = "instructions.jsonl"
csv.field_size_limit(2**30)  # a field may be an embedded image


@dataclass(frozen=True)
class Record:
    """One row: its number in the file from 1, its columns, or what is wrong with the row as a whole."""

    number: int
    columns: dict[str, Any] = field(default_factory=dict)
    unreadable: str | None = None


class Records(Protocol):
    """An input that can be read from its beginning, again and again."""

    @property
    def file(self) -> Path:
        """The file whose rows the numbers count; relative paths start from its folder."""
        ...

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns of every row, where the file as a whole has them."""
        ...

    def read(self) -> Iterator[Record]: ...
    def count(self) -> int: ...
    def digest(self) -> str:
        """Of the rows as written; not of the images that they point to."""
        ...


def open_records(path: Path) -> Records:
    """The input at `path`. Raises InputError when it is of no known kind."""
    if path.is_dir():
        return FolderRecords(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file or folder")
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return JsonlRecords(path)
        case ".csv":
            return CsvRecords(path)
        case ".parquet":
            return ParquetRecords(path)
    raise InputError(f"{path}: an input is a folder, or a file ending in .jsonl, .csv or .parquet")


@dataclass(frozen=True)
class JsonlRecords:
    """One JSON object a line; the row number is the line's. Empty lines are no rows."""

    file: Path
    columns: None = None

    def read(self) -> Iterator[Record]:
        with self.file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield Record(number, unreadable=f"not JSON: {error}")
                    continue
                if isinstance(value, dict):
                    yield Record(number, value)
                else:
                    yield Record(number, unreadable=f"expected a JSON object, got {type(value).__name__}")

    def count(self) -> int:
        with self.file.open("rb") as lines:
            return sum(1 for line in lines if line.strip())

    def digest(self) -> str:
        return file_digest(self.file)


@dataclass(frozen=True)
class CsvRecords:
    """Comma-separated with a header; row 1 is the first below it. An empty field is no value."""

    file: Path

    @property
    def columns(self) -> tuple[str, ...]:
        with self._open() as lines:
            return tuple(next(csv.reader(lines), ()))

    def read(self) -> Iterator[Record]:
        with self._open() as lines:
            rows = csv.reader(lines)
            header = next(rows, [])
            number = 0
            try:
                for number, row in enumerate((row for row in rows if row), start=1):
                    if len(row) == len(header):
                        yield Record(number, {name: v for name, v in zip(header, row, strict=True) if v})
                    else:
                        yield Record(
                            number,
                            unreadable=f"expected {len(header)} fields as in the header, got {len(row)}",
                        )
            except (csv.Error, UnicodeDecodeError) as error:
                raise InputError(f"{self.file}, after row {number}: {error}") from error

    def count(self) -> int:
        return sum(1 for _ in self.read())

    def digest(self) -> str:
        return file_digest(self.file)

    def _open(self) -> Any:
        return self.file.open(encoding="utf-8-sig", newline="")


@dataclass(frozen=True)
class ParquetRecords:
    """A Parquet file; null is no value."""

    file: Path

    @property
    def columns(self) -> tuple[str, ...]:
        from edit_rrm_client.bulk.parquet import parquet_shape

        return parquet_shape(self.file)[1]

    def read(self) -> Iterator[Record]:
        from edit_rrm_client.bulk.parquet import read_parquet

        for number, row in enumerate(read_parquet(self.file), start=1):
            yield Record(number, {name: value for name, value in row.items() if value is not None})

    def count(self) -> int:
        from edit_rrm_client.bulk.parquet import parquet_shape

        return parquet_shape(self.file)[0]

    def digest(self) -> str:
        return file_digest(self.file)


@dataclass(frozen=True)
class FolderRecords:
    """`instructions.jsonl` ({"id", "instruction", "category"?} a line), `source/ID.png`, and
    `edited/MODEL/ID.png`, or `edited/MODEL/ID/*.png` for several candidates.

    Every id of the instructions gives a row for each model, at least one, also where its image is missing;
    every image in `edited` without an instruction gives a row that says so. Row numbers count these.
    """

    folder: Path
    columns: None = None

    @property
    def file(self) -> Path:
        return self.folder / INSTRUCTIONS

    def read(self) -> Iterator[Record]:
        models = self._models()
        known = KeySet()
        number = 0
        for line in JsonlRecords(self.file).read():
            edit = line.columns.get("id")
            if not isinstance(edit, str | int) or "/" in str(edit) or str(edit) in ("", ".", ".."):
                number += 1
                reason = line.unreadable or f"{INSTRUCTIONS} line {line.number}: 'id' must name an image"
                yield Record(number, unreadable=reason)
                continue
            known.add(str(edit))
            source = image_named(self.folder / "source", str(edit))
            for model in models:
                for candidate, edited in enumerate(self._candidates(model, str(edit))):
                    number += 1
                    paths = {"source": self._shown(source), "edited": self._shown(edited)}
                    named = {**line.columns, "id": str(edit), "model": model, "candidate": candidate}
                    yield Record(number, {**named, **paths})
        for model in models:
            for entry in sorted((self.folder / "edited" / model).iterdir()):
                edit = entry.name if entry.is_dir() else entry.stem
                if edit not in known and (entry.is_dir() or entry.suffix.lower() in IMAGE_SUFFIXES):
                    number += 1
                    yield Record(number, {"id": edit, "model": model, "edited": self._shown(entry)})
        known.close()

    def count(self) -> int:
        return sum(1 for _ in self.read())

    def digest(self) -> str:
        """Of the instructions and the models' names: images may come, as they may be replaced."""
        models = "\n".join(self._models()).encode()
        return hashlib.sha256(file_digest(self.file).encode() + models).hexdigest()

    def _models(self) -> list[str]:
        edited = self.folder / "edited"
        models = sorted(entry.name for entry in edited.iterdir() if entry.is_dir()) if edited.is_dir() else []
        if not models or not self.file.is_file():
            raise InputError(
                f"{self.folder}: a folder to score holds source/, edited/<model>/ and {INSTRUCTIONS}"
            )
        return models

    def _candidates(self, model: str, edit: str) -> list[Path]:
        several = self.folder / "edited" / model / edit
        if several.is_dir():
            found = sorted(p for p in several.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            return found or [several / "0.png"]
        return [image_named(self.folder / "edited" / model, edit)]

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self.folder))


def image_named(folder: Path, stem: str) -> Path:
    """The image in `folder` with that name and any suffix of an image; with .png when there is none."""
    names = [folder / (stem + suffix) for suffix in IMAGE_SUFFIXES]
    return next((path for path in names if path.is_file()), names[0])


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
