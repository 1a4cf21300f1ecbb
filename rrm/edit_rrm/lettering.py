"""Text for pictures: Pillow's bundled font, wrapping by measured width, and what that font can spell."""

import unicodedata
from bisect import bisect_right
from functools import cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SPELLED = str.maketrans(
    {"–": "-", "—": "-", "×": "x", "→": ">", "≥": ">=", "≤": "<=", "•": "-", "✓": "yes", "✗": "no"}
)
_FONT_SPELLS = "…·“”‘’"


@cache
def font(size_pixels: int) -> Font:
    """The bundled font at a size."""
    return ImageFont.load_default(size=size_pixels)


def spellable(text: str) -> str:
    """`text` in the bundled font's letters: accents dropped, what has no spelling shown as '?'."""
    decomposed = unicodedata.normalize("NFKD", text.replace("…", "\0").translate(_SPELLED)).replace("\0", "…")
    letters = (letter for letter in decomposed if not unicodedata.combining(letter))
    return "".join(
        " " if letter.isspace() else letter if " " <= letter <= "~" or letter in _FONT_SPELLS else "?"
        for letter in letters
    )


def wrap(text: str, size_pixels: int, width_pixels: float, max_lines: int) -> list[str]:
    """Lines of at most `width_pixels`; the last of `max_lines` ends in an ellipsis when text is left over."""
    words = spellable(text).split()
    lines: list[str] = []
    while words and len(lines) < max_lines:
        count = 1
        while (
            count < len(words) and font(size_pixels).getlength(" ".join(words[: count + 1])) <= width_pixels
        ):
            count += 1
        lines.append(" ".join(words[:count]))
        words = words[count:]
    fitted = [_cut(line, size_pixels, width_pixels, more=False) for line in lines]
    if words:
        fitted[-1] = _cut(lines[-1], size_pixels, width_pixels, more=True)
    return fitted


def _cut(line: str, size_pixels: int, width_pixels: float, *, more: bool) -> str:
    """`line`, shortened to the width; an ellipsis says that something is missing."""
    length = font(size_pixels).getlength
    if not more and length(line) <= width_pixels:
        return line
    kept = bisect_right(range(len(line)), width_pixels, key=lambda count: length(line[: count + 1] + "…"))
    return line[:kept].rstrip() + "…"
