"""Contact sheets: rows of pictures under their instruction, for people to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

GAP = 6
TEXT_HEIGHT = 18
SIDE = 256


@dataclass(frozen=True)
class SheetRow:
    """A caption and its pictures."""

    caption: str
    pictures: tuple[Image.Image, ...]


def contact_sheet(rows: Sequence[SheetRow], columns: int = 2, side: int = SIDE) -> Image.Image:
    """The rows in `columns` side by side, from left to right and down.

    Pictures have the size of the first one, brought to at most `side` pixels.
    """
    first = rows[0].pictures[0]
    shrunk = min(1.0, side / max(first.size))
    width, height = round(first.width * shrunk), round(first.height * shrunk)
    longest = max(len(row.pictures) for row in rows)
    block_width = longest * (width + GAP) + 2 * GAP
    block_height = height + TEXT_HEIGHT + GAP
    down = -(-len(rows) // columns)
    sheet = Image.new("RGB", (columns * block_width, down * block_height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=11)
    for number, row in enumerate(rows):
        left, top = number % columns * block_width + GAP, number // columns * block_height
        text = row.caption
        while draw.textlength(text, font=font) > block_width - 2 * GAP:
            text = text[:-2].rstrip("…") + "…"
        draw.text((left, top + 3), text, fill="black", font=font)
        for place, picture in enumerate(row.pictures):
            shown = picture if picture.size == (width, height) else picture.resize((width, height))
            sheet.paste(shown, (left + place * (width + GAP), top + TEXT_HEIGHT))
    return sheet
