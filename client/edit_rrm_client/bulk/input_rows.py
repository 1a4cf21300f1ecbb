"""From a record to a checked row: what to ask, or what is wrong with which field. Opens no image."""

import base64
import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edit_rrm.wire import MAX_INSTRUCTION_CHARS, MAX_SOURCES
from edit_rrm_client.bulk.finding import existing
from edit_rrm_client.bulk.input_row import InputImage, InputRow, RowProblem
from edit_rrm_client.bulk.records import Record, whole
from edit_rrm_client.bulk.required_columns import missing_column
from edit_rrm_client.bulk.rows import IMAGE_COLUMNS, SOURCE_COLUMNS

COLUMNS = (
    "key",
    "id",
    "candidate",
    "model",
    "category",
    "instruction",
    *SOURCE_COLUMNS,
    "edited",
    *IMAGE_COLUMNS,
)
_WHOLE = re.compile(r"[0-9]+(?:\.0+)?")


@dataclass(frozen=True)
class Places:
    """How to read paths and columns: the folders of input and results, absolute, and the input's names."""

    input_folder: Path
    results_folder: Path
    renamed: Mapping[str, str]
    """What the input calls a column, by this package's name for it."""


def checked_rows(records: Iterable[Record], places: Places, *, edited: bool = True) -> Iterator[InputRow]:
    """A row for each record, in order. Keys may repeat: that is for the caller to see.

    `edited`: whether each row has an edited image; without, the rows are what editors are asked for.
    """
    counter = _CandidateCounter()
    for record in records:
        yield _Reading(places, record, edited).row(counter)


class _CandidateCounter:
    """Numbers the candidates of an edit where the input does not; an edit's rows must follow one another."""

    def __init__(self) -> None:
        self._edit: str | None = None
        self._counts: dict[str, int] = {}

    def next_of(self, edit: str, model: str) -> int:
        if edit != self._edit:
            self._edit, self._counts = edit, {}
        number = self._counts.get(model, 0)
        self._counts[model] = number + 1
        return number


class _Reading:
    """One record on its way to a row; the first problem it meets is the row's."""

    def __init__(self, places: Places, record: Record, edited: bool) -> None:
        self._places = places
        self._record = record
        self._edited = edited
        self._problem: RowProblem | None = None

    def row(self, counter: _CandidateCounter) -> InputRow:
        number = self._record.number
        if self._record.unreadable is not None:
            self._refuse("row", "unreadable_row", self._record.unreadable)
            return InputRow(row=number, key=f"#{number}", id="", problem=self._problem)
        instruction = self._instruction()
        images, more = self._image("source"), self._more_sources()
        if self._edited:
            images.update(self._image("edited"))
        model, category = self._text("model"), self._text("category")
        shown = [images["source_image"], *(source.image for source in more)]
        named = [image or self._get(name) for name, image in zip(SOURCE_COLUMNS, shown, strict=False)]
        edit = self._text("id") or _edit_of(named, instruction)
        counted = counter.next_of(edit, model)
        candidate = self._candidate(counted)
        key = self._text("key") or "/".join([edit, *([model] if model else []), str(candidate)])
        return InputRow(
            row=number,
            key=key,
            id=edit,
            candidate=candidate,
            model=model,
            category=category,
            instruction=instruction,
            problem=self._problem,
            more_sources=more,
            **images,
        )

    def _refuse(self, field_name: str, code: str, detail: str) -> None:
        if self._problem is None:
            self._problem = RowProblem(field=field_name, code=code, detail=detail)

    def _get(self, name: str) -> Any:
        """The value; that of a missing one in pandas (NaN) is none."""
        value = whole(self._record.columns.get(self._column(name)))
        return None if isinstance(value, float) and math.isnan(value) else value

    def _column(self, name: str) -> str:
        return self._places.renamed.get(name, name)

    def _refuse_missing(self, name: str) -> None:
        if self._column(name) in self._record.columns:
            self._refuse(name, "missing_value", f"the column {self._column(name)!r} is empty in this row")
        else:
            self._refuse(name, "missing_column", missing_column(name, self._record.columns))

    def _text(self, name: str) -> str:
        value = self._get(name)
        if value is None or (isinstance(value, str) and _is_text(value)):
            return value or ""
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        self._refuse(name, "bad_value", f"expected text, got {type(value).__name__} {value!r:.40}")
        return ""

    def _instruction(self) -> str:
        value = self._get("instruction")
        if value is None:
            self._refuse_missing("instruction")
            return ""
        text = self._text("instruction")
        if not text.strip():
            self._refuse("instruction", "empty_instruction", "the instruction is empty")
        elif len(text) > MAX_INSTRUCTION_CHARS:
            found = f"{len(text)} characters, at most {MAX_INSTRUCTION_CHARS} can be asked"
            self._refuse("instruction", "long_instruction", f"the instruction has {found}")
            return text[:MAX_INSTRUCTION_CHARS]
        return text

    def _candidate(self, counted: int) -> int:
        value = self._get("candidate")
        if value is None:
            return counted
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value.partition(".")[0])
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
            return value
        self._refuse("candidate", "bad_value", f"expected a number from 0, got {value!r}")
        return counted

    def _more_sources(self) -> tuple[InputImage, ...]:
        """The sources beyond the first, which are numbered without a gap."""
        found, missing = [], ""
        for name in SOURCE_COLUMNS[1:]:
            if not self._has(name):
                missing = missing or name
            elif missing:
                self._refuse(name, "source_gap", f"there is a {name!r} and no {missing!r}")
            else:
                image = self._image(name)
                found.append(
                    InputImage(path=image[name], file=image[f"{name}_file"], image=image[f"{name}_image"])
                )
        beyond = f"source_{MAX_SOURCES + 1}"
        if self._has(beyond):
            detail = f"there is a {beyond!r}: an edit has at most {MAX_SOURCES} sources"
            self._refuse(beyond, "too_many_sources", detail)
        return tuple(found)

    def _has(self, name: str) -> bool:
        values = (self._get(name), self._get(f"{name}_image"))
        return any(any(v.values()) if isinstance(v, Mapping) else v is not None for v in values)

    def _image(self, name: str) -> dict[str, Any]:
        """The image's bytes, or its file, under the names that a row has for them."""
        data, path = self._get(f"{name}_image"), self._get(name)
        if isinstance(path, Mapping):  # as the `datasets` library stores images
            data, path = path.get("bytes") or data, path.get("path")
        if isinstance(data, Mapping):
            data = data.get("bytes")
        nothing = dict.fromkeys((name, f"{name}_file", f"{name}_image"))
        if data is not None:
            shown = path if isinstance(path, str) and _is_text(path) else None
            return {**nothing, name: shown, f"{name}_image": self._bytes(f"{name}_image", data)}
        if path is None:
            self._refuse_missing(name)
            return nothing
        if isinstance(path, str) and path.startswith("data:"):
            return {**nothing, f"{name}_image": self._bytes(name, path.partition(",")[2])}
        if not isinstance(path, str) or "\0" in path or not _is_text(path):
            self._refuse(name, "bad_value", "expected the path of an image")
            return nothing
        file = self._places.input_folder / path
        found = existing(file)
        if found is None and "\\" in path:  # as Windows writes it
            found = existing(self._places.input_folder / path.replace("\\", "/"))
        if found is None:
            self._refuse(name, "missing_file", f"there is no file {str(file)!r}")
        file = found or file
        shown = path if os.path.isabs(path) else os.path.relpath(file, self._places.results_folder)
        return {**nothing, name: shown, f"{name}_file": str(file)}

    def _bytes(self, name: str, data: Any) -> bytes | None:
        if isinstance(data, str):
            try:
                data = base64.b64decode(re.sub(r"[\r\n]", "", data), validate=True)  # perhaps in lines
            except ValueError as error:
                self._refuse(name, "bad_image", f"not base64: {error}")
                return None
        if isinstance(data, bytes) and data:
            return data
        self._refuse(name, "bad_image", f"expected the bytes of an image, got {type(data).__name__}")
        return None


def _is_text(value: str) -> bool:
    """Whether it is Unicode; JSON can spell halves of characters, which no file or database takes."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _edit_of(sources: Iterable[object], instruction: str) -> str:
    """A stable id for the edit where the input names none: of its images, or their paths as written."""
    images = (source if isinstance(source, bytes) else repr(source).encode() for source in sources)
    digests = b"".join(hashlib.sha256(image).digest() for image in images)
    return hashlib.sha256(digests + instruction.encode()).hexdigest()[:16]
