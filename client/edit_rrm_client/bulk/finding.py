"""Files found by the names people give them: whatever the case of the suffix and the form of the accents."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_DIGITS = re.compile(r"(\d+)")


def existing(path: Path) -> Path | None:
    """The file of that name, be its suffix in other letters or its accents written otherwise.

    macOS takes "é" apart (NFD) where others keep it whole (NFC). None where there is no such file.
    """
    try:
        return next((spelled for spelled in _spellings(path) if spelled.is_file()), None)
    except (OSError, ValueError):  # a name too long for any file, or with a null byte
        return None


def image_named(folder: Path, stem: str) -> Path:
    """The image in `folder` with that name and any suffix of an image; with .png when there is none."""
    names = [folder / (stem + suffix) for suffix in IMAGE_SUFFIXES]
    return next((found for name in names if (found := existing(name)) is not None), names[0])


def images_in(folder: Path) -> list[Path]:
    """The images of a folder in the order of people: 2 before 10."""
    return in_order(path for path in folder.iterdir() if is_image(path))


def folder_named(folder: Path, name: str) -> Path | None:
    """The folder of that name in `folder`, however its accents are written; None for none."""
    forms = dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))
    try:
        return next((found for form in forms if (found := folder / form).is_dir()), None)
    except (OSError, ValueError):
        return None


def is_image(path: Path) -> bool:
    """Whether it is named as one; hidden files, such as macOS's `._1.png`, are none."""
    return not is_hidden(path) and path.suffix.lower() in IMAGE_SUFFIXES


def is_hidden(path: Path) -> bool:
    """Whether a listing leaves it out."""
    return path.name.startswith(".") or path.name == "__MACOSX"


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Sorted by name, numbers in names as numbers."""
    return sorted(paths, key=lambda path: (_by_numbers(path.name), path.name))


def _by_numbers(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _DIGITS.split(name) if part]


def _spellings(path: Path) -> Iterator[Path]:
    yield path
    suffix = path.suffix
    for form in (str(path), unicodedata.normalize("NFC", str(path)), unicodedata.normalize("NFD", str(path))):
        for spelled in dict.fromkeys((suffix, suffix.lower(), suffix.upper(), suffix.capitalize())):
            yield Path(form).with_suffix(spelled) if suffix else Path(form)
