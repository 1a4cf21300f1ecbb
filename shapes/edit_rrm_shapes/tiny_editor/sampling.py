"""Edits through an editor: pictures by id, and a sheet of them."""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from edit_grpo.policies.policy import EditPolicy
from edit_grpo.rollout.ode_sampling import noise_of_rows, sample_ode
from edit_rrm_shapes.tiny_editor.shapes_edits import ShapesEdit, open_picture
from edit_rrm_shapes.tiny_editor.sheets import SheetRow, contact_sheet

BATCH = 24
SHEET = "contact-sheet.png"


def edit_pictures(
    policy: EditPolicy, edits: Sequence[ShapesEdit], steps: int, seed: int = 0
) -> Iterator[tuple[ShapesEdit, Image.Image, Image.Image]]:
    """Each edit with its source and the edited picture, which depend on the edit's id and `seed` alone."""
    for start in range(0, len(edits), BATCH):
        some = edits[start : start + BATCH]
        sources = [open_picture(edit.source) for edit in some]
        condition = policy.encode(sources, [edit.instruction for edit in some])
        noise = noise_of_rows(policy, condition, [zlib.crc32(f"{seed}-{edit.id}".encode()) for edit in some])
        edited = policy.decode(sample_ode(policy, condition, noise, steps))
        yield from zip(some, sources, edited, strict=True)


def sample_sheet(policy: EditPolicy, edits: Sequence[ShapesEdit], steps: int) -> Image.Image:
    """Source, edited picture and the candidate with the best gold score, if there is one, in a row each."""
    return contact_sheet(
        [_row(edit, source, edited) for edit, source, edited in edit_pictures(policy, edits, steps)]
    )


def write_samples(
    policy: EditPolicy, edits: Sequence[ShapesEdit], directory: Path, steps: int, seed: int, sheet_edits: int
) -> Iterator[Path]:
    """Writes `<edit id>.png` for each edit, one at a time, then a sheet of the first `sheet_edits`."""
    directory.mkdir(parents=True, exist_ok=True)
    rows: list[SheetRow] = []
    for edit, source, edited in edit_pictures(policy, edits, steps, seed):
        path = directory / f"{edit.id}.png"
        edited.save(path)
        if len(rows) < sheet_edits:
            rows.append(_row(edit, source, edited))
        yield path
    contact_sheet(rows).save(directory / SHEET)


def _row(edit: ShapesEdit, source: Image.Image, edited: Image.Image) -> SheetRow:
    pictures = [source, edited]
    if edit.scores:
        pictures.append(open_picture(edit.targets[edit.scores.index(max(edit.scores))]))
    return SheetRow(edit.instruction, tuple(pictures))
