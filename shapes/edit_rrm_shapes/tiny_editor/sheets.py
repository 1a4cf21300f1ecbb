"""Contact sheets: rows of pictures under their instruction, for people to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

GAP = 6
TEXT_HEIGHT = 18


@dataclass(frozen=True)
class SheetRow:
    """A caption and pictures of one size."""

    caption: str
    pictures: tuple[Image.Image, ...]


def contact_sheet(rows: Sequence[SheetRow], columns: int = 2, scale: int = 1) -> Image.Image:
    """The rows in `columns` side by side, from left to right and down; pictures enlarged `scale` times."""
    first = rows[0].pictures[0]
    width, height = first.width * scale, first.height * scale
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
            enlarged = picture.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (left + place * (width + GAP), top + TEXT_HEIGHT))
    return sheet
