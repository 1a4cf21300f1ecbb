"""Rows of published Parquet files with their fields checked; a wrong one is named by file, row and field."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.finding import existing
from edit_rrm_client.bulk.parquet import parquet_shape, read_parquet


@dataclass(frozen=True)
class LayoutRow:
    """One row of a file; the methods give a field's value or raise InputError."""

    file: Path
    number: int
    """From 1."""
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """File and row, as messages call it."""
        return f"{self.file}, row {self.number}"

    def wrong(self, field: str, problem: str) -> InputError:
        """The error to raise for a field of this row."""
        return InputError(f"{self.name}: {field}: {problem}")

    def text(self, field: str) -> str:
        """A text with something in it."""
        value = self.values.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(field, f"expected a text, got {_shown(value)}")
        return value

    def pair_of_texts(self, field: str) -> tuple[str, str]:
        """A list of two texts."""
        value = self.values.get(field)
        if not isinstance(value, list) or len(value) != 2 or not all(isinstance(v, str) for v in value):
            raise self.wrong(field, f"expected two texts, got {_shown(value)}")
        return value[0], value[1]

    def image(self, field: str) -> bytes:
        """The bytes of an image file."""
        image = self._bytes(field, self.values.get(field))
        if image is None:
            raise self.wrong(field, "expected an image, got nothing")
        return image

    def image_at(self, field: str, path: Any) -> bytes:
        """The bytes of the image file at a path beside the row's file, which may not leave its folder."""
        if not isinstance(path, str) or not path:
            raise self.wrong(field, f"expected an image's path, got {_shown(path)}")
        folder = self.file.parent.resolve()
        place = (folder / path).resolve()
        if not place.is_relative_to(folder):
            raise self.wrong(field, f"{path!r} leaves the folder of the file")
        found = existing(place)
        if found is None:
            raise self.wrong(field, f"there is no file {place}")
        return found.read_bytes()

    def optional_image(self, field: str) -> bytes | None:
        """The bytes of an image file, None where the row has none."""
        return self._bytes(field, self.values.get(field))

    def pair_of_images(self, field: str) -> tuple[bytes, bytes]:
        """A list of two images."""
        value = self.values.get(field)
        images = [self._bytes(field, item) for item in value] if isinstance(value, list) else []
        if len(images) != 2 or images[0] is None or images[1] is None:
            raise self.wrong(field, f"expected two images, got {_shown(value)}")
        return images[0], images[1]

    def _bytes(self, field: str, value: Any) -> bytes | None:
        """Bytes as they are, or as the struct of bytes and path in which `datasets` writes an image."""
        if isinstance(value, dict):
            value = value.get("bytes")
        if value is None or isinstance(value, bytes):
            return value or None
        raise self.wrong(field, f"expected an image's bytes, got {_shown(value)}")


def parquet_files(path: Path) -> list[Path]:
    """The file itself, or every Parquet file below a folder, by name. Raises InputError for none."""
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files:
        raise InputError(f"{path}: there is no Parquet file")
    return files


def json_rows(file: Path, under: str | None = None) -> Iterator[LayoutRow]:
    """The objects of a JSON list, or of the list under a name. Raises InputError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: is not JSON: {error}") from error
    rows = found.get(under) if under is not None and isinstance(found, dict) else found
    if not isinstance(rows, list):
        raise InputError(f"{file}: expected a list of rows" + (f" under {under!r}" if under else ""))
    for number, values in enumerate(rows, start=1):
        row = LayoutRow(file, number, values if isinstance(values, dict) else {})
        if not isinstance(values, dict):
            raise row.wrong("row", f"expected an object, got {_shown(values)}")
        yield row


def read_layout(files: Sequence[Path], needed: Sequence[str]) -> Iterator[LayoutRow]:
    """The rows of files which all have the columns `needed`. Raises InputError for one that lacks some."""
    for file in files:
        _, columns = parquet_shape(file)
        missing = [name for name in needed if name not in columns]
        if missing:
            raise InputError(f"{file}: no column {missing[0]!r}; the file has {', '.join(columns)}")
        for number, values in enumerate(read_parquet(file), start=1):
            yield LayoutRow(file, number, values)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, list) else type(value).__name__
