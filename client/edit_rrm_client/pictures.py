"""A contact sheet of scored edits: source, edited image, verdicts, score and reward, as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from edit_rrm.lettering import font, spellable, wrap
from edit_rrm.principles import Category
from edit_rrm.wire import CandidateFailed, CandidateScored, ScoreAnswer

WIDTH = 1600
MARGIN = 36
CARD_PADDING = 24
PICTURE_SIDE = 288  # three times a 96-pixel image
SCORE_WIDTH = 150
LINE_GAP = 5
LEGEND = "Each line: verdict, category, the model's probability that it is met, the principle, the evidence."

Colour = tuple[int, int, int]
PAPER: Colour = (244, 245, 248)
CARD: Colour = (255, 255, 255)
EDGE: Colour = (222, 225, 232)
INK: Colour = (28, 32, 40)
FADED: Colour = (104, 111, 124)
MET: Colour = (22, 138, 82)
MISSED: Colour = (206, 52, 52)
MIDDLING: Colour = (204, 134, 10)
CATEGORY_COLOURS: dict[Category, Colour] = {
    Category.FOLLOW: (37, 99, 200),
    Category.KEEP: (130, 66, 180),
    Category.QUALITY: (150, 104, 16),
}


@dataclass(frozen=True)
class ScoredEdit:
    """One row of the sheet. `answer.results[index]` is the result of `edited`."""

    title: str
    instruction: str
    source: Image.Image
    edited: Image.Image
    answer: ScoreAnswer
    index: int = 0


def draw_contact_sheet(edits: Sequence[ScoredEdit], *, title: str, note: str = "") -> Image.Image:
    """An RGB image, 1,600 pixels wide, one card an edit; `note` (what the scores are good for) heads it.

    Small images are enlarged by whole factors without smoothing, so that their pixels stay visible.
    Raises ValueError for no edits.
    """
    if not edits:
        raise ValueError("a contact sheet needs at least one edit")
    note_lines = wrap(note, 19, WIDTH - 2 * MARGIN, max_lines=4) + wrap(LEGEND, 19, WIDTH - 2 * MARGIN, 1)
    header_height = MARGIN + 46 + 26 * len(note_lines) + 14
    cards = [_draw_card(edit, WIDTH - 2 * MARGIN) for edit in edits]
    height = header_height + sum(card.height + 20 for card in cards) + MARGIN - 20
    sheet = Image.new("RGB", (WIDTH, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for line in wrap(title, 34, WIDTH - 2 * MARGIN, max_lines=1):
        draw.text((MARGIN, MARGIN - 8), line, INK, font(34))
    for number, line in enumerate(note_lines):
        draw.text((MARGIN, MARGIN + 42 + 26 * number), line, FADED, font(19))
    top = header_height
    for card in cards:
        sheet.paste(card, (MARGIN, top))
        top += card.height + 20
    return sheet


def _draw_card(edit: ScoredEdit, width: int) -> Image.Image:
    """One edit on a card as high as its verdicts need."""
    text_left = CARD_PADDING + 2 * PICTURE_SIDE + 16 + 30
    column = _Column(text_left, width - SCORE_WIDTH - CARD_PADDING - 24 - text_left, CARD_PADDING - 6)
    column.lay(edit.title, 25, INK, max_lines=1)
    column.lay(f"“{edit.instruction}”", 20, FADED, max_lines=2)
    column.skip(8)
    result = edit.answer.results[edit.index]
    if isinstance(result, CandidateFailed):
        column.lay(f"not scored: {result.error.code}", 20, MISSED, max_lines=1)
        column.lay(result.error.detail, 17, FADED, max_lines=4)
    else:
        _lay_verdicts(column, edit.answer, result)
        _lay_guards(column, result)
    height = max(column.bottom, CARD_PADDING + 24 + PICTURE_SIDE) + CARD_PADDING
    card = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(card)
    draw.rounded_rectangle((0, 0, width - 1, height - 1), radius=14, fill=CARD, outline=EDGE, width=2)
    for number, (label, picture) in enumerate((("source", edit.source), ("edited", edit.edited))):
        left = CARD_PADDING + number * (PICTURE_SIDE + 16)
        draw.text((left, CARD_PADDING - 6), label, FADED, font(17))
        _place_picture(card, draw, picture, left, CARD_PADDING + 24)
    column.draw(draw)
    _draw_score(draw, result, width - CARD_PADDING - SCORE_WIDTH, CARD_PADDING)
    return card


class _Column:
    """Marks and wrapped lines laid from top to bottom; drawn once the card's height is known."""

    def __init__(self, left: int, width: int, top: int) -> None:
        self.left, self.width, self.bottom = left, width, top
        self._lines: list[tuple[int, int, str, Colour, int]] = []
        self._marks: list[tuple[int, int, bool | None]] = []

    def skip(self, pixels: int) -> None:
        self.bottom += pixels

    def lay(self, text: str, size: int, colour: Colour, *, indent: int = 0, max_lines: int) -> None:
        for line in wrap(text, size, self.width - indent, max_lines):
            self._lines.append((self.left + indent, self.bottom, line, colour, size))
            self.bottom += size + LINE_GAP

    def lay_aside(self, text: str, size: int, colour: Colour, *, indent: int) -> None:
        """A word on the line that is laid next."""
        self._lines.append((self.left + indent, self.bottom, spellable(text), colour, size))

    def mark(self, met: bool | None) -> None:
        self._marks.append((self.left, self.bottom, met))

    def draw(self, draw: ImageDraw.ImageDraw) -> None:
        for left, top, line, colour, size in self._lines:
            draw.text((left, top), line, colour, font(size))
        for left, top, met in self._marks:
            _draw_mark(draw, left, top + 3, met)


def _lay_verdicts(column: _Column, answer: ScoreAnswer, result: CandidateScored) -> None:
    verdicts = {verdict.principle: verdict for verdict in result.verdicts}
    for principle in answer.principles:
        verdict = verdicts.get(principle.id)
        column.mark(None if verdict is None else verdict.met)
        column.lay_aside(principle.category.value, 17, CATEGORY_COLOURS[principle.category], indent=32)
        probability = "-" if verdict is None or verdict.probability is None else f"{verdict.probability:.0%}"
        column.lay_aside(probability, 17, FADED, indent=106)
        column.lay(principle.question, 18, INK, indent=158, max_lines=2)
        if verdict is not None and verdict.evidence:
            column.lay(verdict.evidence, 16, FADED, indent=158, max_lines=2)
        column.skip(3)
    for name, value in result.subscores.items():
        column.lay_aside(f"{value:.2f}", 17, INK, indent=0)
        column.lay(name, 18, FADED, indent=56, max_lines=1)
    if not result.samples:
        column.lay("A guard decided; the model was not asked.", 17, FADED, max_lines=1)


def _lay_guards(column: _Column, result: CandidateScored) -> None:
    fired = [
        guard.name + ("" if guard.limits else f" ({guard.note or 'reported only'})")
        for guard in result.guards
        if guard.triggered
    ]
    if fired:
        column.skip(4)
        column.lay("guard fired: " + ", ".join(fired), 18, MISSED, max_lines=2)


def _draw_mark(draw: ImageDraw.ImageDraw, left: int, top: int, met: bool | None) -> None:
    """A tick, a cross, or a bar where there is no verdict; the bundled font has none of them."""
    if met is None:
        draw.line((left + 3, top + 8, left + 15, top + 8), FADED, width=3)
    elif met:
        draw.line(
            [(left + 1, top + 9), (left + 6, top + 14), (left + 16, top + 3)], MET, width=4, joint="curve"
        )
    else:
        draw.line((left + 3, top + 3, left + 14, top + 14), MISSED, width=4)
        draw.line((left + 3, top + 14, left + 14, top + 3), MISSED, width=4)


def _draw_score(
    draw: ImageDraw.ImageDraw, result: CandidateScored | CandidateFailed, left: int, top: int
) -> None:
    """The score in large figures, the reward as a number and a bar."""
    if isinstance(result, CandidateFailed):
        draw.text((left, top - 6), "score", FADED, font(17))
        draw.text((left, top + 14), "none", MISSED, font(44))
        return
    colour = MET if result.reward >= 0.8 else MIDDLING if result.reward >= 0.4 else MISSED
    figure = f"{result.score:.1f}"
    draw.text((left, top - 6), "score", FADED, font(17))
    draw.text((left, top + 14), figure, colour, font(58))
    draw.text((left + font(58).getlength(figure) + 6, top + 46), "/10", FADED, font(22))
    draw.text((left, top + 96), f"reward {result.reward:.2f}", INK, font(22))
    draw.rounded_rectangle((left, top + 132, left + SCORE_WIDTH, top + 144), radius=6, fill=EDGE)
    filled = round(SCORE_WIDTH * result.reward)
    if filled >= 12:
        draw.rounded_rectangle((left, top + 132, left + filled, top + 144), radius=6, fill=colour)


def _place_picture(
    card: Image.Image, draw: ImageDraw.ImageDraw, picture: Image.Image, left: int, top: int
) -> None:
    """The picture, fitted and centred in its square with a hairline around it, so that white frames show."""
    fitted = _fit(picture.convert("RGB"), PICTURE_SIDE)
    left += (PICTURE_SIDE - fitted.width) // 2
    top += (PICTURE_SIDE - fitted.height) // 2
    card.paste(fitted, (left, top))
    draw.rectangle((left - 1, top - 1, left + fitted.width, top + fitted.height), outline=FADED)


def _fit(picture: Image.Image, side: int) -> Image.Image:
    """Small pictures grow by a whole factor, pixels kept sharp; the others are resampled to the side."""
    whole_factor = side // max(picture.size)
    if whole_factor >= 2:
        size = (picture.width * whole_factor, picture.height * whole_factor)
        return picture.resize(size, Image.Resampling.NEAREST)
    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)
