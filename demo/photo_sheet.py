"""One picture of all the photographs' edits: a row an instruction, the good edit first, rewards below.

Some of them without rewards, for the docs:

    .venv/bin/python demo/photo_sheet.py docs/images/photos.jpg coffee-blue chelsea-eyes china-sunset \\
        rocket-gone
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby

from PIL import Image, ImageDraw

from edit_rrm.lettering import font, wrap
from photo_listing import FOLDER, GOOD, ListedEdit, listed

MARGIN, GAP, CELL, COLUMNS = 24, 12, 300, 5
WIDTH = 2 * MARGIN + COLUMNS * CELL + (COLUMNS - 1) * GAP
INK, FADED, PAPER = (28, 32, 40), (104, 111, 124), (255, 255, 255)
MET, MISSED = (22, 138, 82), (206, 52, 52)
_LINE, _HEADING = 22, 34

Words = list[tuple[str, tuple[int, int, int]]]


def draw_sheet(edits: Sequence[ListedEdit], title: str, rewards: Mapping[str, str]) -> Image.Image:
    """RGB, 1,596 pixels wide. `rewards` are in words, by the edits' keys; an edit without one shows none."""
    rows = [_row(list(group), rewards) for _, group in groupby(edits, key=lambda edit: edit.id)]
    head = MARGIN + 40 if title else MARGIN // 2
    sheet = Image.new("RGB", (WIDTH, head + sum(row.height for row in rows)), PAPER)
    for line in wrap(title, 26, WIDTH - 2 * MARGIN, max_lines=1):
        ImageDraw.Draw(sheet).text((MARGIN, MARGIN - 4), line, INK, font(26))
    for row in rows:
        sheet.paste(row, (0, head))
        head += row.height
    return sheet


def _row(edits: Sequence[ListedEdit], rewards: Mapping[str, str]) -> Image.Image:
    pictures = [_fitted(file) for file in (edits[0].source, *(edit.edited for edit in edits))]
    captions: list[Words] = [[("source", FADED)], *(_caption(edit, rewards) for edit in edits)]
    high = max(picture.height for picture in pictures)
    row = Image.new("RGB", (WIDTH, _HEADING + high + 6 + _LINE * max(map(len, captions)) + 18), PAPER)
    draw = ImageDraw.Draw(row)
    for line in wrap(edits[0].instruction, 20, WIDTH - 2 * MARGIN, max_lines=1):
        draw.text((MARGIN, 4), line, INK, font(20))
    for number, (picture, words) in enumerate(zip(pictures, captions, strict=True)):
        left = MARGIN + number * (CELL + GAP)
        row.paste(picture, (left, _HEADING))
        for place, (line, colour) in enumerate(words):
            draw.text((left, _HEADING + high + 6 + place * _LINE), line, colour, font(17))
    return row


def _caption(edit: ListedEdit, rewards: Mapping[str, str]) -> Words:
    good = edit.model == GOOD
    said = f"good: {edit.seen}" if good else f"{edit.flaw}: {edit.seen}"
    words: Words = [(line, MET if good else MISSED) for line in wrap(said, 17, CELL, max_lines=2)]
    return [*words, (rewards[edit.key], INK)] if edit.key in rewards else words


def _fitted(file: str) -> Image.Image:
    with Image.open(FOLDER / file) as image:
        return image.convert("RGB").resize(
            (CELL, round(CELL * image.height / image.width)), Image.Resampling.LANCZOS
        )


if __name__ == "__main__":
    out, *names = sys.argv[1:]
    drawn = draw_sheet([edit for edit in listed() if edit.id in names], "", {})
    drawn.thumbnail((1200, drawn.height), Image.Resampling.LANCZOS)
    drawn.save(out, quality=74, optimize=True)
