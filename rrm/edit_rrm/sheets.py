"""Contact sheets: rows of pictures under their instruction, for people to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from edit_rrm.lettering import font, spellable, wrap

GAP = 6
TEXT_HEIGHT = 18
SIDE = 256
_LETTER = 11  # pixels


@dataclass(frozen=True)
class SheetRow:
    """A caption, its pictures, and what stands below each: no labels, or one a picture."""

    caption: str
    pictures: tuple[Image.Image, ...]
    labels: tuple[str, ...] = ()


def contact_sheet(rows: Sequence[SheetRow], columns: int = 2, side: int = SIDE) -> Image.Image:
    """The rows in `columns` side by side, from left to right and down.

    The first picture is brought to at most `side` pixels; the others lie within its size, in their own shape.
    """
    first = rows[0].pictures[0]
    shrunk = min(1.0, side / max(first.size))
    width, height = round(first.width * shrunk), round(first.height * shrunk)
    longest = max(len(row.pictures) for row in rows)
    block_width = longest * (width + GAP) + 2 * GAP
    block_height = height + TEXT_HEIGHT + GAP + (TEXT_HEIGHT if any(row.labels for row in rows) else 0)
    down = -(-len(rows) // columns)
    sheet = Image.new("RGB", (columns * block_width, down * block_height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        left, top = number % columns * block_width + GAP, number // columns * block_height
        lines = wrap(row.caption, _LETTER, block_width - 2 * GAP, 1)
        draw.text((left, top + 3), "".join(lines), fill="black", font=font(_LETTER))
        for place, picture in enumerate(row.pictures):
            shown = picture if picture.size == (width, height) else ImageOps.contain(picture, (width, height))
            sheet.paste(shown, (left + place * (width + GAP), top + TEXT_HEIGHT))
        for place, label in enumerate(row.labels):
            below = (left + place * (width + GAP), top + TEXT_HEIGHT + height + 2)
            draw.text(below, spellable(label), fill="black", font=font(_LETTER))
    return sheet
