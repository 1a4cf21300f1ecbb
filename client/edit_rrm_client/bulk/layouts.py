"""Folders as the public benchmarks' own scripts leave them, read as rows: nobody writes a script first.

Verified in stepfun-ai/Step1X-Edit (GEdit-Bench: EVAL.md, generate_image_example.py, test_gedit_score.py),
PKU-YuanGroup/ImgEdit (Benchmark/Basic and Benchmark/UGE: basic_bench.py, UGE_bench.py and their guides) and
TIGER-Lab's EditReward-Data (a JSON list of pairs).
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edit_rrm_client.bulk.benchmark_edits import (
    gedit_edits,
    gedit_id,
    gedit_text,
    imgedit_edits,
    is_file_name,
    original_of,
    read_json,
)
from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.finding import existing, image_named, images_in, in_order, is_hidden
from edit_rrm_client.bulk.records import Record, Records, file_digest, whole

Layout = Literal["gedit", "imgedit", "editreward"]


def open_layout(path: Path, layout: Layout, edits: Path | None, originals: Path | None) -> Records:
    """The rows of a benchmark's folder or file. Raises InputError for what is missing or not wanted."""
    if layout == "editreward":
        _not_wanted(layout, edits=edits, originals=originals)
        return PairRecords(_existing(path, "a JSON list of pairs"))
    if not path.is_dir():
        raise InputError(f"{path}: --layout {layout} reads a folder of edited images")
    if edits is None:
        raise InputError(f"--layout {layout} needs --edits: {_EDITS[layout]}")
    if layout == "gedit":
        _not_wanted(layout, originals=originals)
        return GeditRecords(path, edits)
    if originals is None or not originals.is_dir():
        raise InputError("--layout imgedit needs --originals: the folder that the edits' `id` start from")
    return ImgeditRecords(path, _existing(edits, _EDITS[layout]), originals)


_EDITS: Mapping[Layout, str] = {
    "gedit": "the dataset's Parquet file or folder, or a .jsonl or .csv with `key`, `instruction`, "
    "`task_type` and `instruction_language`",
    "imgedit": "its basic_edit.json or UGE_edit.json",
}


@dataclass(frozen=True)
class GeditRecords:
    """`MODEL/fullset/TASK/LANGUAGE/KEY.png` with `KEY_SRCIMG.png` beside it, of one model or several.

    Every edit gives a row for each model that has its language at all.
    """

    folder: Path
    edits: Path
    columns: None = None

    @property
    def file(self) -> Path:
        return self.edits

    def read(self) -> Iterator[Record]:
        models = self._models()
        languages = {model: _languages(folder) for model, folder in models.items()}
        number = 0
        seen: set[str] = set()
        for edit in gedit_edits(self.edits):
            name = gedit_id(edit, seen)
            names = [whole(edit.get(name)) for name in ("key", "task_type", "instruction_language")]
            if not all(map(is_file_name, names)):
                number += 1
                yield Record(
                    number,
                    unreadable=f"{self.edits}: an edit needs `key`, `task_type` and `instruction_language`",
                )
                continue
            key, task, language = map(str, names)
            for model, folder in models.items():
                if language not in languages[model]:
                    continue
                number += 1
                place = folder / "fullset" / task / language
                yield Record(number, {
                    "id": name, "instruction": edit.get("instruction"), "category": task, "model": model,
                    "source": _shown(image_named(place, f"{key}_SRCIMG")),
                    "edited": _shown(image_named(place, key)), "candidate": 0,
                })  # fmt: skip

    def count(self) -> int:
        return sum(1 for _ in self.read())

    def digest(self) -> str:
        """Of the edits and the models' names."""
        names = "\n".join(self._models())
        return hashlib.sha256(f"{names}\n{gedit_text(self.edits)}".encode()).hexdigest()

    def _models(self) -> dict[str, Path]:
        if (self.folder / "fullset").is_dir():
            return {self.folder.absolute().name: self.folder}
        inner = (path for path in in_order(self.folder.iterdir()) if not is_hidden(path))
        found = {path.name: path for path in inner if (path / "fullset").is_dir()}
        if not found:
            raise InputError(f"{self.folder}: neither it nor a folder in it holds fullset/")
        return found


@dataclass(frozen=True)
class ImgeditRecords:
    """`KEY.png`, or `MODEL/KEY.png` of several models; the keys are those of `edits`."""

    folder: Path
    edits: Path
    originals: Path
    columns: None = None

    @property
    def file(self) -> Path:
        return self.edits

    def read(self) -> Iterator[Record]:
        models = self._models()
        number = 0
        for key, edit in imgedit_edits(self.edits).items():
            for model, folder in models.items():
                number += 1
                source = original_of(edit, self.originals)
                if source is None or not is_file_name(key):
                    reason = "needs `prompt` and an `id` that is a path below the originals"
                    yield Record(number, unreadable=f"{self.edits}: edit {key!r} {reason}")
                    continue
                yield Record(number, {
                    "id": key, "instruction": edit.get("prompt"), "category": edit.get("edit_type"),
                    "model": model, "candidate": 0, "edited": _shown(image_named(folder, key)),
                    "source": _shown(source),
                })  # fmt: skip

    def count(self) -> int:
        return len(imgedit_edits(self.edits)) * len(self._models())

    def digest(self) -> str:
        """Of the edits and the models' names."""
        names = "\n".join(self._models()).encode()
        return hashlib.sha256(file_digest(self.edits).encode() + names).hexdigest()

    def _models(self) -> dict[str, Path]:
        keys = filter(is_file_name, imgedit_edits(self.edits))
        if any(existing(self.folder / f"{key}.png") for key in keys):
            return {self.folder.absolute().name: self.folder}
        inner = (path for path in in_order(self.folder.iterdir()) if path.is_dir() and not is_hidden(path))
        found = {path.name: path for path in inner if images_in(path)}
        if not found:
            raise InputError(f"{self.folder}: neither it nor a folder in it holds edited images")
        return found


@dataclass(frozen=True)
class PairRecords:
    """EditReward-Data: a JSON list of pairs; both pictures of a pair are rows, the preferred one first."""

    file: Path
    columns: None = None

    def read(self) -> Iterator[Record]:
        for place, pair in enumerate(self._pairs()):
            for side in (1, 2):
                number = 2 * place + side
                if not isinstance(pair, dict):
                    yield Record(number, unreadable=f"expected an object, got {type(pair).__name__}")
                    continue
                yield Record(number, {
                    "id": f"{self.file.stem}-{place + 1}", "instruction": pair.get("prompt"),
                    "source": pair.get("path_src"), "edited": pair.get(f"path{side}"),
                    "model": pair.get(f"model{side}") or f"path{side}", "candidate": side - 1,
                    "category": pair.get("task_type"),
                })  # fmt: skip

    def count(self) -> int:
        return 2 * len(self._pairs())

    def digest(self) -> str:
        return file_digest(self.file)

    def _pairs(self) -> list[Any]:
        found = read_json(self.file)
        if not isinstance(found, list):
            raise InputError(f"{self.file}: expected a list of pairs")
        return found


def _languages(model: Path) -> set[str]:
    tasks = [path for path in (model / "fullset").iterdir() if path.is_dir()]
    return {path.name for task in tasks for path in task.iterdir() if path.is_dir()}


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; expected {what}")
    return path


def _not_wanted(layout: Layout, **given: Path | None) -> None:
    for name, value in given.items():
        if value is not None:
            raise InputError(f"--{name} has no use with --layout {layout}")


def _shown(path: Path) -> str:
    return str(path.absolute())
