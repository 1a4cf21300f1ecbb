"""What GEdit-Bench and ImgEdit-Bench ask editors for, from a local copy of each as it is published.

Verified in stepfun-ai/Step1X-Edit at 570eba6 (GEdit-Bench/generate_image_example.py: the columns) and
PKU-YuanGroup/ImgEdit at 547185d (Benchmark/Basic/basic_bench_readme.md: the JSON and its folder).
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.finding import in_order, is_hidden
from edit_rrm_client.bulk.records import open_records, whole

GEDIT_PICTURES = ("input_image", "input_image_raw")
_IMGEDIT_FILES = ("singleturn.json", "basic_edit.json")


def gedit_edits(path: Path, without: Collection[str] = GEDIT_PICTURES) -> Iterator[Mapping[str, Any]]:
    """The rows of GEdit-Bench's Parquet file or folder, or of a .jsonl or .csv with its columns.

    Raises InputError.
    """
    parts = [path]
    if path.is_dir():
        parts = in_order(
            file
            for file in path.rglob("*")
            if file.suffix.lower() == ".parquet"
            and not any(map(is_hidden, (file, *file.relative_to(path).parents)))
        )
        if not parts:
            raise InputError(f"{path}: there is no .parquet file in it")
    for part in parts:
        if part.suffix.lower() == ".parquet":
            from edit_rrm_client.bulk.parquet import read_parquet

            yield from read_parquet(part, without=without)
        else:
            yield from (record.columns for record in open_records(part).read())


def gedit_id(edit: Mapping[str, Any], seen: set[str]) -> str:
    """What an edit is called in lists: its key, and its language too where `seen` has the key already."""
    key = str(whole(edit.get("key")))
    name = f"{key}/{edit.get('instruction_language')}" if key in seen else key
    seen.add(key)
    return name


def gedit_text(path: Path) -> str:
    """The rows without their pictures as one text, of which a digest is made. Raises InputError."""
    return "".join(json.dumps(row, sort_keys=True, default=str) for row in gedit_edits(path))


def in_intersection(edit: Mapping[str, Any]) -> bool:
    """Whether all compared systems carry it out; a CSV has the word."""
    return str(edit.get("Intersection_exist")).lower() in ("true", "1")


def read_json(file: Path) -> Any:
    """What a JSON file holds. Raises InputError."""
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: is not JSON: {error}") from error


def imgedit_file(path: Path) -> Path:
    """ImgEdit-Bench's JSON of edits: the file, or the one in a folder. Raises InputError."""
    file = next((path / name for name in _IMGEDIT_FILES if (path / name).is_file()), path)
    if not file.is_file():
        wanted = " or ".join(_IMGEDIT_FILES)
        raise InputError(f"{path}: expected ImgEdit-Bench's JSON of edits, or a folder with {wanted}")
    return file


def imgedit_edits(file: Path) -> dict[str, Any]:
    """ImgEdit-Bench's edits by their keys: {"prompt", "id", "edit_type"} each. Raises InputError."""
    found = read_json(file)
    if not isinstance(found, dict):
        raise InputError(f"{file}: expected an object of edits by their keys")
    return found


def original_of(edit: Any, originals: Path) -> Path | None:
    """Where an edit's `id` says that its original lies; None where it says nothing, or leads elsewhere."""
    name = edit.get("id") if isinstance(edit, dict) else None
    if not isinstance(name, str) or not name:
        return None
    path = originals.absolute() / name
    inside = Path(os.path.normpath(path)).is_relative_to(os.path.normpath(originals.absolute()))
    return path if inside else None


def is_file_name(value: Any) -> bool:
    """Whether it can be a file's name, without a way to another folder."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text not in ("", ".", "..") and not set(text) & set("/\\\0")
