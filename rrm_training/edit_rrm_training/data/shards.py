"""Which files a place in the settings means: a file, the shards of a folder, or what a pattern finds."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from edit_rrm_training.data import arrow_folders, parquet, tar_shards
from edit_rrm_training.errors import RowError

JSONL = ".jsonl"
SUFFIXES = (JSONL, parquet.SUFFIX, tar_shards.SUFFIX)
_KINDS = "JSONL (.jsonl), Parquet (.parquet), WebDataset (.tar) or a folder of `datasets`"


def shards(place: Path) -> tuple[Path, ...]:
    """The files of rows that a place means, in the order of their names.

    A place is a file, of JSONL whatever its name; a folder of shards (not of folders), or one that `datasets`
    saved; or a pattern (`data/part-*.parquet`). Raises RowError where it means none.
    """
    if place.is_file():
        return (place,)
    if place.is_dir():
        return _of_folder(place)
    if any(letter in str(place) for letter in "*?["):
        home = Path(place.anchor)
        found = sorted(home.glob(str(place.relative_to(home))))
        files = [
            file
            for path in found
            for file in (_of_folder(path) if (path / arrow_folders.MARK).exists() else (path,))
        ]
        if files := [file for file in files if file.is_file()]:
            return tuple(files)
        raise RowError(place, 0, "", "the pattern finds no file")
    raise RowError(place, 0, "", "there is no such file or folder")


def all_shards(places: Iterable[Path]) -> tuple[Path, ...]:
    """The files of all places, each once. Raises RowError."""
    return tuple(dict.fromkeys(file for place in places for file in shards(place)))


def fingerprint(files: Sequence[Path], *more: str) -> str:
    """Changes when a file is another one or was written again, or with anything in `more`."""
    facts = [
        (str(part.resolve()), part.stat().st_size, part.stat().st_mtime_ns)
        for file in files
        for part in (sorted(file.parent.iterdir()) if file.name == arrow_folders.MARK else [file])
    ]
    return hashlib.sha256(json.dumps([facts, *more]).encode()).hexdigest()[:32]


def _of_folder(folder: Path) -> tuple[Path, ...]:
    if (folder / arrow_folders.MARK).exists():
        return (folder / arrow_folders.MARK,)
    if (splits := folder / arrow_folders.SPLITS).exists():
        names = ", ".join(json.loads(splits.read_text(encoding="utf-8")).get("splits", ()))
        raise RowError(folder, 0, "", f"holds several splits ({names}): name one of its folders")
    found = tuple(sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file()))
    if not found:
        raise RowError(folder, 0, "", f"no shards in it; expected {_KINDS}")
    if len(kinds := {path.suffix for path in found}) > 1:
        raise RowError(folder, 0, "", f"shards of one kind were expected, got {', '.join(sorted(kinds))}")
    return found
