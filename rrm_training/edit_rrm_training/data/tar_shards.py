"""Tar files as WebDataset lays them out: members that share a name up to its first dot are one row.

`00017.json` holds the row's fields; `00017.source.png`, `00017.candidate.jpg` are pictures of the fields they
are named after. A picture is not read with its row: its reference says where in the archive it lies,
`shard.tar#OFFSET+SIZE`, so that a row of two megabytes costs a hundred bytes until it is looked at.
"""

import json
import re
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from edit_rrm_training.errors import RowError

SUFFIX = ".tar"
_PART = re.compile(r"(?P<archive>.+\.tar)#(?P<offset>[0-9]+)\+(?P<size>[0-9]+)")


def tar_rows(file: Path) -> Iterator[tuple[int, dict[str, Any] | RowError]]:
    """Each row's number, from 1, and its content, or what is wrong with it.

    Raises RowError for a file that is no uncompressed tar.
    """
    try:
        with tarfile.open(file, "r:") as archive:
            members = (member for member in archive if member.isfile())
            for number, (key, group) in enumerate(groupby(members, _key), start=1):
                yield number, _row(archive, file, number, key, list(group))
    except tarfile.TarError as error:
        raise RowError(file, 0, "", f"not an uncompressed tar: {error}") from error


def part_of(reference: str) -> tuple[str, int, int] | None:
    """Archive, offset and size in bytes of a reference into an archive; None for any other."""
    found = _PART.fullmatch(reference)
    return None if found is None else (found["archive"], int(found["offset"]), int(found["size"]))


def read_part(archive: Path, offset: int, size: int) -> bytes:
    """The bytes of a member. Raises OSError where the archive ends before it."""
    with archive.open("rb") as file:
        file.seek(offset)
        content = file.read(size)
    if len(content) < size:
        raise OSError(f"{archive} ends before byte {offset + size}")
    return content


def _key(member: tarfile.TarInfo) -> str:
    folder, _, name = member.name.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def _row(
    archive: tarfile.TarFile, file: Path, number: int, key: str, members: list[tarfile.TarInfo]
) -> dict[str, Any] | RowError:
    row: dict[str, Any] | None = None
    pictures = {}
    for member in members:
        field = member.name.rpartition("/")[2].partition(".")[2].lower()
        if field == "json":
            content = archive.extractfile(member)
            assert content is not None  # it is a file
            try:
                row = json.loads(content.read())
            except ValueError as error:
                return RowError(file, number, "", f"{member.name}: {error}")
        else:
            pictures[field.partition(".")[0]] = f"{file.name}#{member.offset_data}+{member.size}"
    if not isinstance(row, dict):
        return RowError(file, number, "", f"{key.lstrip('/')} has no .json member that holds an object")
    return {**row, **pictures}
