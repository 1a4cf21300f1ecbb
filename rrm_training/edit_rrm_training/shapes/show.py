"""A contact sheet of the shapes world: one row an edit, the truth written under every candidate."""

from PIL import Image, ImageDraw

from edit_rrm.lettering import font, wrap
from edit_rrm_training.shapes.dataset import Candidate, EditRecord, make_edit
from edit_rrm_training.shapes.render import SIZE

_ZOOM = 2
_COLUMN = 300
_LINE = 15
_MET = (22, 128, 74)
_MISSED = (196, 44, 44)
_INK = (28, 32, 40)


def _column(
    sheet: Image.Image,
    left: int,
    top: int,
    picture: Image.Image,
    lines: list[tuple[str, tuple[int, int, int]]],
) -> None:
    side = SIZE * _ZOOM
    sheet.paste(picture.resize((side, side), Image.Resampling.NEAREST), (left, top))
    pen = ImageDraw.Draw(sheet)
    y = top + side + 6
    for text, colour in lines:
        for line in wrap(text, 12, _COLUMN - 16, max_lines=2):
            pen.text((left, y), line, colour, font(12))
            y += _LINE


def _candidate_lines(edit: EditRecord, candidate: Candidate) -> list[tuple[str, tuple[int, int, int]]]:
    lines = [(f"{candidate.editor}: score {candidate.score:.1f}, utility {candidate.utility:.2f}", _INK)]
    for check, finding in zip(edit.checks, candidate.findings, strict=True):
        lines.append((f"{check.category.value}: {finding.evidence}", _MET if finding.met else _MISSED))
    return lines


def contact_sheet(seed: int, count: int, candidate_count: int) -> Image.Image:
    """Edits 0 to `count` - 1 of world `seed`: the source with its principles, then each candidate."""
    edits = [make_edit(seed, index, candidate_count) for index in range(count)]
    heights = [SIZE * _ZOOM + 60 + 2 * _LINE * (len(edit.checks) + 1) for edit in edits]
    sheet = Image.new("RGB", (20 + _COLUMN * (candidate_count + 1), 10 + sum(heights)), (250, 250, 252))
    top = 10
    for edit, height in zip(edits, heights, strict=True):
        ImageDraw.Draw(sheet).text(
            (20, top), f"{edit.request.category}: {edit.request.instruction}", _INK, font(16)
        )
        principles = [(f"{n}. {c.question}", _INK) for n, c in enumerate(edit.checks, start=1)]
        _column(sheet, 20, top + 26, edit.picture(), principles)
        for place, candidate in enumerate(edit.candidates, start=1):
            _column(
                sheet, 20 + place * _COLUMN, top + 26, candidate.picture(), _candidate_lines(edit, candidate)
            )
        top += height
    return sheet
