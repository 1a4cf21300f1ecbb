"""GEdit-Bench and ImgEdit-Bench as edits to carry out, from local copies; pictures get their published names.

GEdit-Bench: `fullset/TASK/LANGUAGE/KEY.png` with `KEY_SRCIMG.png`, the dataset's `input_image`, beside it.
The editor is given `input_image_raw`, as the benchmark's own example does. ImgEdit-Bench: `KEY.png`.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edit_grpo.data.asked import AskedEdit, AskedEdits
from edit_rrm_client.bulk.benchmark_edits import (
    GEDIT_PICTURES,
    gedit_edits,
    gedit_id,
    gedit_text,
    imgedit_edits,
    imgedit_file,
    in_intersection,
    is_file_name,
    original_of,
)
from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.finding import existing
from edit_rrm_client.bulk.records import file_digest, whole

Benchmark = Literal["gedit", "imgedit"]


def open_benchmark(benchmark: Benchmark, path: Path, originals: Path | None, out: Path) -> AskedEdits:
    """A benchmark's edits from its local copy. Raises InputError for what is missing or not wanted."""
    if benchmark == "imgedit":
        file = imgedit_file(path)
        return ImgeditEdits(file, originals or file.parent, out)
    if originals is not None:
        raise InputError("--originals has no use with GEdit-Bench, whose pictures are in its Parquet files")
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder; expected GEdit-Bench's Parquet files")
    return GeditEdits(path)


@dataclass(frozen=True)
class GeditEdits:
    """The rows of the dataset, in both languages."""

    path: Path

    def read(self, *, sources: bool = True) -> Iterator[AskedEdit]:
        """See AskedEdits."""
        rows = gedit_edits(self.path, without=() if sources else GEDIT_PICTURES)
        seen: set[str] = set()
        for number, row in enumerate(rows, start=1):
            yield self._edit(number, gedit_id(row, seen), row, sources)

    def digest(self) -> str:
        """See AskedEdits."""
        return hashlib.sha256(gedit_text(self.path).encode()).hexdigest()

    def _edit(self, number: int, name: str, row: Mapping[str, Any], sources: bool) -> AskedEdit:
        names = {name: whole(row.get(name)) for name in ("key", "task_type", "instruction_language")}
        key, task, language = (str(name) for name in names.values())
        raw, shown = _bytes(row.get("input_image_raw")), _bytes(row.get("input_image"))
        problem = next(
            (
                f"{name}: expected a name, got {value!r}"
                for name, value in names.items()
                if not is_file_name(value)
            ),
            None,
        )
        if problem is None and not _text(row.get("instruction")):
            problem = "instruction: it is empty"
        if problem is None and sources and (raw or shown) is None:
            problem = "input_image_raw: there is no picture"
        place = f"fullset/{task}/{language}/{key}"
        return AskedEdit(
            file=self.path,
            row=number,
            id=name,
            name=place if problem is None else f"#{number}",
            instruction=_text(row.get("instruction")),
            category=task,
            sources=tuple(filter(None, [raw or shown])),
            shown=(f"{place}_SRCIMG.png",),
            shown_copy=shown or raw,
            columns={
                "task_type": task,
                "instruction_language": language,
                "Intersection_exist": in_intersection(row),
            },
            problem=problem,
        )


@dataclass(frozen=True)
class ImgeditEdits:
    """The edits of its JSON; `id` is the original's path below `originals`."""

    file: Path
    originals: Path
    out: Path

    def read(self, *, sources: bool = True) -> Iterator[AskedEdit]:
        """See AskedEdits."""
        for number, (key, edit) in enumerate(imgedit_edits(self.file).items(), start=1):
            yield self._edit(number, key, edit)

    def digest(self) -> str:
        """See AskedEdits."""
        return file_digest(self.file)

    def _edit(self, number: int, key: str, edit: Any) -> AskedEdit:
        values = edit if isinstance(edit, dict) else {}
        place = original_of(edit, self.originals)
        source = None if place is None else existing(place)
        problem = None
        if not is_file_name(key):
            problem = f"its key {key!r} cannot name a picture"
        elif not _text(values.get("prompt")):
            problem = "prompt: it is empty"
        elif place is None:
            problem = f"id: expected a path below {self.originals}, got {values.get('id')!r}"
        elif source is None:
            problem = f"id: there is no file {place}"
        kind = _text(values.get("edit_type"))
        return AskedEdit(
            file=self.file,
            row=number,
            id=key,
            name=key if is_file_name(key) else f"#{number}",
            instruction=_text(values.get("prompt")),
            category=kind,
            sources=() if source is None else (source,),
            shown=(None if source is None else os.path.relpath(source, self.out.absolute()),),
            columns={"edit_type": kind},
            as_published=True,
            judged_by_kind=bool(kind),
            problem=problem,
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value.strip() else ""


def _bytes(value: Any) -> bytes | None:
    """Bytes as they are, or as the struct of bytes and path in which `datasets` writes an image."""
    found = value.get("bytes") if isinstance(value, Mapping) else value
    return found if isinstance(found, bytes) and found else None
