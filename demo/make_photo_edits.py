"""Draws the demo's edits of photographs anew: `photos/` with its pictures, list and licences.

    .venv/bin/python demo/make_photo_edits.py

The photographs come from packages of the `dev` extra. What stands in the repository is what this wrote, and
was looked at by a person; `tests/demo/test_photo_edits.py` compares the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from photo_edits import EDITS, PhotoEdit
from photo_listing import BAD, FOLDER, GOOD, LISTING, ListedEdit
from photo_originals import ORIGINALS, photograph

LICENCES = FOLDER / "LICENCES.md"
QUALITY = 74


@dataclass(frozen=True)
class Drawn:
    """An edited picture and its row of the edit set."""

    row: ListedEdit
    image: Image.Image


def sources() -> dict[str, Image.Image]:
    """The photographs by their file in the folder."""
    return {_source(name): photograph(name) for name in sorted({edit.photograph for edit in EDITS})}


def drawn(edit: PhotoEdit) -> Iterator[Drawn]:
    """The good edit, then the bad ones."""
    image = photograph(edit.photograph)
    yield Drawn(_row(edit, GOOD, 0), edit.good(image))
    for number, bad in enumerate(edit.bad):
        yield Drawn(_row(edit, BAD, number, flaw=bad.flaw, seen=bad.seen), bad.make(image))


def _row(edit: PhotoEdit, model: str, candidate: int, **said: str) -> ListedEdit:
    return ListedEdit(
        id=edit.id,
        model=model,
        candidate=candidate,
        category=edit.category,
        instruction=edit.instruction,
        source=_source(edit.photograph),
        edited=f"edited/{edit.id}-{model}-{candidate}.jpg",
        **said,
    )


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
            _keep(each.image, each.row.edited)
            rows.append(each.row.model_dump_json(exclude_unset=True) + "\n")
    LISTING.write_text("".join(rows), encoding="utf-8")
    LICENCES.write_text(licences(), encoding="utf-8")


def _source(name: str) -> str:
    return f"sources/{name}.jpg"


def _keep(image: Image.Image, file: str) -> None:
    image.save(FOLDER / file, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
