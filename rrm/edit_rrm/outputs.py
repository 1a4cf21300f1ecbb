"""Whether results can be written, tried before the work that they come from. Nothing is left there."""

import tempfile
from pathlib import Path

from edit_rrm.errors import OutputError


def check_output_file(path: Path) -> None:
    """Raises OutputError where no file can be written; missing folders above it would be created."""
    if "\0" not in str(path):
        if path.is_dir():
            raise OutputError(f"{path}: expected a file to write, it is a folder")
        if path.exists() and not path.is_file():
            return  # a pipe or a device: trying it would write to it
    _check_parent(path)
    if path.exists():
        try:
            path.open("r+b").close()
        except OSError as error:
            raise OutputError(f"{path}: the file there cannot be written: {error.strerror}") from error


def check_output_folder(path: Path) -> None:
    """Raises OutputError where no folder can be made, or nothing written to the one there is."""
    _check_parent(path / "file")


def _check_parent(path: Path) -> None:
    if "\0" in str(path):
        raise OutputError(f"{str(path)!r}: a path holds no NUL")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise OutputError(f"{path}: {above} is a file, not a folder")
    try:
        tempfile.TemporaryFile(dir=above).close()
    except OSError as error:
        raise OutputError(f"{path}: nothing can be written in {above}: {error.strerror}") from error
