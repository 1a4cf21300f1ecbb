"""Draws the demo's edits of photographs anew: `photos/` with its pictures, list and licences.

    .venv/bin/python demo/make_photo_edits.py

The photographs come from packages of the `dev` extra. What stands in the repository is what this wrote, and
was looked at by a person; `tests/demo/test_photo_edits.py` compares the two.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from photo_edits import EDITS, PhotoEdit
from photo_originals import ORIGINALS, photograph

FOLDER = Path(__file__).resolve().parent / "photos"
LISTING = FOLDER / "edits.jsonl"
LICENCES = FOLDER / "LICENCES.md"
QUALITY = 74
GOOD, BAD = "good", "bad"


@dataclass(frozen=True)
class Drawn:
    """An edited picture and the row of the edit set that names it."""

    row: dict[str, str | int]
    image: Image.Image

    @property
    def file(self) -> str:
        return str(self.row["edited"])


def sources() -> dict[str, Image.Image]:
    """The photographs by their file in the folder."""
    return {_source(name): photograph(name) for name in sorted({edit.photograph for edit in EDITS})}


def drawn(edit: PhotoEdit) -> Iterator[Drawn]:
    """The good edit, then the bad ones, with what is wrong: columns that bulk scoring passes over."""
    image = photograph(edit.photograph)
    common: dict[str, str | int] = {
        "id": edit.id, "category": edit.category, "instruction": edit.instruction,
        "source": _source(edit.photograph),
    }  # fmt: skip
    yield Drawn(
        {**common, "model": GOOD, "candidate": 0, "edited": f"edited/{edit.id}-good.jpg"}, edit.good(image)
    )
    for number, bad in enumerate(edit.bad):
        file = f"edited/{edit.id}-bad-{number}.jpg"
        row = {
            **common,
            "model": BAD,
            "candidate": number,
            "edited": file,
            "flaw": bad.flaw,
            "seen": bad.seen,
        }
        yield Drawn(row, bad.make(image))


def licences() -> str:
    """Whose each photograph is, and by what licence it may be handed on."""
    lines = [
        "# The photographs and their licences",
        "",
        "Each was made smaller and stored as JPEG; the pictures in `edited/` are alterations of them by "
        "`demo/photo_edits.py`, and may be handed on by the same licence. Written by "
        "`demo/make_photo_edits.py`.",
        "",
        "| photograph | by | licence | file, and where its package states so |",
        "|---|---|---|---|",
    ]
    for name in sorted({edit.photograph for edit in EDITS}):
        one = ORIGINALS[name]
        stated = f"`{one.package}/{one.file}`, `{one.stated_in}`"
        lines.append(f"| `{_source(name)}` | {one.by} | {one.licence} | {stated} |")
    note = "`coffee-flower` lays the flower (CC BY 2.0) on the table of the coffee, and is by both."
    return "\n".join([*lines, "", note, ""])


def main() -> None:
    """Writes the folder."""
    for folder in ("sources", "edited"):
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
    for file, image in sources().items():
        _keep(image, file)
    rows = []
    for edit in EDITS:
        for each in drawn(edit):
            _keep(each.image, each.file)
            rows.append(json.dumps(each.row) + "\n")
    LISTING.write_text("".join(rows), encoding="utf-8")
    LICENCES.write_text(licences(), encoding="utf-8")


def _source(name: str) -> str:
    return f"sources/{name}.jpg"


def _keep(image: Image.Image, file: str) -> None:
    image.save(FOLDER / file, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
