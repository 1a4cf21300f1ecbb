"""Files that survive a kill and a power cut: whole or not there at all."""

import os
from pathlib import Path


def partial_of(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(path.name + ".partial")


def put_in_place(path: Path) -> None:
    """Makes the finished `partial_of(path)` the file at `path`, in one step."""
    partial = partial_of(path)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(partial, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names of new files in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
