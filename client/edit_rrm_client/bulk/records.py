"""The raw rows of an input, whichever of the four layouts it has. Knows no column by name but a folder's.

A record is what one row says, or why it could not be read. Reading holds a few rows, never the file.
"""

import csv
import hashlib
import itertools
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.finding import folder_named, image_named, images_in, in_order, is_hidden, is_image
from edit_rrm_client.bulk.keys import KeySet
from edit_rrm_client.bulk.text_files import encoding_of, says_separator, separator_of

INSTRUCTIONS = "instructions.jsonl"
_TABLES = (".csv", ".tsv")
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


def open_records(path: Path, encoding: str | None = None) -> Records:
    """The input at `path`; `encoding` is that of a CSV file. Raises InputError for an unknown kind."""
    if encoding is not None and path.suffix.lower() not in _TABLES:
        raise InputError(f"{path}: --encoding is for CSV files")
    if path.is_dir():
        return FolderRecords(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file or folder")
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return JsonlRecords(path)
        case ".csv" | ".tsv":
            return CsvRecords(path, encoding_of(path, encoding))
        case ".parquet":
            return ParquetRecords(path)
    hint = "; save the sheet as CSV" if path.suffix.lower() in (".xlsx", ".xls", ".ods") else ""
    raise InputError(
        f"{path}: an input is a folder, or a file ending in .jsonl, .csv, .tsv or .parquet{hint}"
    )


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
    """Separated by commas, semicolons or tabs, with a header; row 1 is the first below it.

    An empty field is no value. A line that is not in the file's encoding costs its row alone.
    """

    file: Path
    encoding: str = "utf-8"

    @property
    def columns(self) -> tuple[str, ...]:
        with self._open() as lines:
            return tuple(next(self._rows(lines), ()))

    def read(self) -> Iterator[Record]:
        with self._open() as lines:
            rows = self._rows(lines)
            header = next(rows, [])
            number = 0
            try:
                for number, row in enumerate((row for row in rows if row), start=1):
                    if any("\ud800" <= character <= "\udfff" for field in row for character in field):
                        reason = f"it is not {self.encoding}; name the file's encoding with --encoding"
                        yield Record(number, unreadable=reason)
                    elif len(row) == len(header):
                        yield Record(number, {name: v for name, v in zip(header, row, strict=True) if v})
                    else:
                        yield Record(
                            number,
                            unreadable=f"expected {len(header)} fields as in the header, got {len(row)}",
                        )
            except (csv.Error, UnicodeError) as error:
                raise InputError(f"{self.file}, after row {number}: {error}") from error

    def count(self) -> int:
        return sum(1 for _ in self.read())

    def digest(self) -> str:
        """Of the rows as they are read: another encoding makes other texts of them."""
        found = file_digest(self.file)
        return found if self.encoding == "utf-8" else f"{found} {self.encoding}"

    def _open(self) -> TextIO:
        encoding = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        return self.file.open(encoding=encoding, errors="surrogateescape", newline="")

    def _rows(self, lines: TextIO) -> Iterator[list[str]]:
        """The rows from the header on."""
        try:
            first = lines.readline()
        except UnicodeError as error:
            raise InputError(f"{self.file}: is not {self.encoding}: {error}") from error
        begun = [] if says_separator(first) else [first]
        return csv.reader(itertools.chain(begun, lines), delimiter=separator_of(first))


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
            edit = whole(line.columns.get("id"))
            if not isinstance(edit, str | int) or "/" in str(edit) or str(edit) in ("", ".", ".."):
                number += 1
                reason = line.unreadable or f"{INSTRUCTIONS} line {line.number}: 'id' must name an image"
                yield Record(number, unreadable=reason)
                continue
            known.add(unicodedata.normalize("NFC", str(edit)))
            source = image_named(self.folder / "source", str(edit))
            for model in models:
                for candidate, edited in enumerate(self._candidates(model, str(edit))):
                    number += 1
                    paths = {"source": self._shown(source), "edited": self._shown(edited)}
                    named = {**line.columns, "id": str(edit), "model": model, "candidate": candidate}
                    yield Record(number, {**named, **paths})
        for model in models:
            for entry in in_order((self.folder / "edited" / model).iterdir()):
                edit = unicodedata.normalize("NFC", entry.name if entry.is_dir() else entry.stem)
                shown = not is_hidden(entry) and (entry.is_dir() or is_image(entry))
                if shown and edit not in known:
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
        entries = list(edited.iterdir()) if edited.is_dir() else []
        models = sorted(entry.name for entry in entries if entry.is_dir() and not is_hidden(entry))
        if not models or not self.file.is_file():
            raise InputError(
                f"{self.folder}: a folder to score holds source/, edited/<model>/ and {INSTRUCTIONS}"
            )
        return models

    def _candidates(self, model: str, edit: str) -> list[Path]:
        several = folder_named(self.folder / "edited" / model, edit)
        if several is not None:
            return images_in(several) or [several / "0.png"]
        return [image_named(self.folder / "edited" / model, edit)]

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self.folder))


def whole(value: Any) -> Any:
    """A whole number that pandas made a float of, as a number again; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
