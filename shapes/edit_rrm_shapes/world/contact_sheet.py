"""A contact sheet of the shapes world: one row an edit, the truth written under every candidate."""

from PIL import Image, ImageDraw

from edit_rrm.lettering import font, wrap
from edit_rrm_shapes.world.dataset import Candidate, EditRecord, make_edit
from edit_rrm_shapes.world.render import SIZE

_ZOOM = 2
_COLUMN = 300
_LINE = 15
_MET = (22, 128, 74)
_MISSED = (196, 44, 44)
_INK = (28, 32, 40)


Colour = tuple[int, int, int]
Column = tuple[Image.Image, list[tuple[str, Colour]]]
"""A picture and the lines under it."""


def _wrapped(lines: list[tuple[str, Colour]]) -> list[tuple[str, Colour]]:
    return [(part, colour) for text, colour in lines for part in wrap(text, 12, _COLUMN - 16, max_lines=2)]


def _candidate_column(edit: EditRecord, candidate: Candidate) -> Column:
    lines = [(f"{candidate.editor}: score {candidate.score:.1f}, utility {candidate.utility:.2f}", _INK)]
    for check, finding in zip(edit.checks, candidate.findings, strict=True):
        lines.append((f"{check.category.value}: {finding.evidence}", _MET if finding.met else _MISSED))
    return candidate.picture(), _wrapped(lines)


def _row(edit: EditRecord) -> Image.Image:
    principles = [(f"{n}. {check.question}", _INK) for n, check in enumerate(edit.checks, start=1)]
    columns = [(edit.picture(), _wrapped(principles))]
    columns += [_candidate_column(edit, candidate) for candidate in edit.candidates]
    side = SIZE * _ZOOM
    text_top = 26 + side + 6
    height = text_top + _LINE * max(len(lines) for _, lines in columns) + 24
    row = Image.new("RGB", (20 + _COLUMN * len(columns), height), (250, 250, 252))
    pen = ImageDraw.Draw(row)
    pen.text((20, 0), f"{edit.request.category}: {edit.request.instruction}", _INK, font(16))
    for place, (picture, lines) in enumerate(columns):
        left = 20 + place * _COLUMN
        row.paste(picture.resize((side, side), Image.Resampling.NEAREST), (left, 26))
        for number, (text, colour) in enumerate(lines):
            pen.text((left, text_top + number * _LINE), text, colour, font(12))
    return row


def contact_sheet(seed: int, count: int, candidate_count: int) -> Image.Image:
    """Edits 0 to `count` - 1 of world `seed`: the source with its principles, then each candidate."""
    rows = [_row(make_edit(seed, index, candidate_count)) for index in range(count)]
    sheet = Image.new("RGB", (rows[0].width, 10 + sum(row.height for row in rows)), (250, 250, 252))
    top = 10
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet
