"""Rows of published Parquet files with their fields checked; a wrong one is named by file, row and field."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edit_rrm_client.bulk.errors import InputError
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
