"""Draws grids: a PNG, an HTML page that loads nothing, and an index with a slider over the pages. Pure.

A row shows source, before training and now, the verdicts of both, and the scores.
"""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from edit_rrm.lettering import font, wrap
from edit_rrm_client import CandidateFailed, CandidateScored, Principle, ScoreAnswer

PICTURE_SIDE = 192
_GAP = 12
_TEXT_WIDTH = 460
_COLUMNS = ("source", "before training", "now")
_NOT_FINITE = (128, 128, 128)

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:24px;background:#f4f5f8;color:#1c2028}
.edit{background:#fff;border:1px solid #dee1e8;border-radius:10px;padding:14px;margin:0 0 14px;
 display:flex;gap:14px;flex-wrap:wrap}
figure{margin:0}figcaption{color:#686f7c;font-size:13px}
img{width:192px;image-rendering:pixelated;border:1px solid #dee1e8}
table{border-collapse:collapse;font-size:14px}td,th{padding:2px 10px 2px 0;text-align:left}
.met{color:#168a52}.missed{color:#ce3434}.none{color:#686f7c}h1{font-size:20px}
iframe{width:100%;height:80vh;border:0}input{width:100%}
"""


@dataclass(frozen=True)
class GridRow:
    """One held-out edit. A picture that is not finite is None, and has no result.

    `answer` has the results of the other pictures, before and now; None where the service gave none.
    """

    edit: str
    instruction: str
    sources: tuple[Image.Image, ...]
    before: Image.Image | None
    now: Image.Image | None
    answer: ScoreAnswer | None

    @property
    def pictures(self) -> tuple[Image.Image, Image.Image, Image.Image]:
        """In the order of the columns: the sources side by side, and grey for what is not finite."""
        source = _side_by_side(self.sources)
        grey = Image.new("RGB", self.sources[0].size, _NOT_FINITE)
        return source, self.before or grey, self.now or grey

    @property
    def results(self) -> tuple[CandidateScored | CandidateFailed | None, ...]:
        """Of before and now."""
        left = iter(() if self.answer is None else self.answer.results)
        return tuple(None if picture is None else next(left, None) for picture in (self.before, self.now))


def draw_grid(rows: Sequence[GridRow]) -> Image.Image:
    """All rows as one picture; small images grow by whole factors, unsmoothed."""
    row_height = PICTURE_SIDE + 34
    width = 3 * (PICTURE_SIDE + _GAP) + _GAP + _TEXT_WIDTH
    sheet = Image.new("RGB", (width, row_height * len(rows) + _GAP), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = _GAP + number * row_height
        for column, (name, picture) in enumerate(zip(_COLUMNS, row.pictures, strict=True)):
            left = _GAP + column * (PICTURE_SIDE + _GAP)
            draw.text((left, top), name, (104, 111, 124), font(13))
            sheet.paste(_fit(picture), (left, top + 18))
        left = _GAP + 3 * (PICTURE_SIDE + _GAP)
        lines = [(line, (28, 32, 40)) for line in wrap(row.instruction, 16, _TEXT_WIDTH - _GAP, 3)]
        lines += [(text, colour) for text, colour in _score_lines(row)]
        for place, (line, colour) in enumerate(lines):
            draw.text((left, top + 18 + 21 * place), line, colour, font(16))
    return sheet


def grid_page(title: str, rows: Sequence[GridRow]) -> str:
    """One self-contained HTML page; images are inline, texts escaped."""
    body = "".join(_section(row) for row in rows)
    return _page(title, f"<h1>{html.escape(title)}</h1>{body}")


def index_page(names: Sequence[str]) -> str:
    """A slider over the pages, which lie beside it."""
    options = "".join(f"<option value='{html.escape(name)}'>" for name in names)
    script = (
        "const pages=[...document.querySelectorAll('option')].map(o=>o.value),"
        "slider=document.querySelector('input'),frame=document.querySelector('iframe'),"
        "label=document.querySelector('label');"
        "function show(){const name=pages[slider.value];frame.src=name;label.textContent=name}"
        "slider.oninput=show;show();"
    )
    last = len(names) - 1
    return _page(
        "Grids",
        f"<h1>Held-out edits over training</h1><label></label>"
        f"<input type='range' min='0' max='{last}' value='{last}' aria-label='update'>"
        f"<datalist>{options}</datalist><iframe title='grid'></iframe><script>{script}</script>",
    )


def _page(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _section(row: GridRow) -> str:
    figures = "".join(
        f"<figure><img src='{_data_uri(picture)}' alt='{name}'><figcaption>{name}</figcaption></figure>"
        for name, picture in zip(_COLUMNS, row.pictures, strict=True)
    )
    return (
        f"<section class='edit'>{figures}<div><strong>{html.escape(row.instruction)}</strong>"
        f"{_verdict_table(row)}</div></section>"
    )


def _verdict_table(row: GridRow) -> str:
    if row.answer is None:
        return "<p class='none'>not scored</p>"
    before, now = row.results
    lines = "".join(
        f"<tr><td>{principle.category.value}</td><td>{html.escape(principle.question)}</td>"
        f"{_verdict_cell(before, principle)}{_verdict_cell(now, principle)}</tr>"
        for principle in row.answer.principles
    )
    return (
        f"<table><tr><th></th><th></th><th>before</th><th>now</th></tr>{lines}"
        f"<tr><th></th><th>score</th><th>{_score(before)}</th><th>{_score(now)}</th></tr></table>"
    )


def _verdict_cell(result: CandidateScored | CandidateFailed | None, principle: Principle) -> str:
    verdicts = result.verdicts if isinstance(result, CandidateScored) else ()
    for verdict in verdicts:
        if verdict.principle == principle.id:
            word, style = ("met", "met") if verdict.met else ("not met", "missed")
            return f"<td class='{style}' title='{html.escape(verdict.evidence, quote=True)}'>{word}</td>"
    return "<td class='none'>–</td>"


def _score(result: CandidateScored | CandidateFailed | None) -> str:
    if result is None:
        return "none (not finite)"
    if isinstance(result, CandidateFailed):
        return f"none ({html.escape(result.error.code)})"
    fired = ", ".join(guard.name for guard in result.guards if guard.limits)
    return f"{result.score:.1f}" + (f" (guard: {html.escape(fired)})" if fired else "")


def _score_lines(row: GridRow) -> list[tuple[str, tuple[int, int, int]]]:
    if row.answer is None:
        return [("not scored", (104, 111, 124))]
    lines = []
    for name, result in zip(_COLUMNS[1:], row.results, strict=True):
        if result is None:
            lines.append((f"{name}: no score (not finite)", (104, 111, 124)))
            continue
        if isinstance(result, CandidateFailed):
            lines.append((f"{name}: no score ({result.error.code})", (104, 111, 124)))
            continue
        met = sum(verdict.met for verdict in result.verdicts)
        colour = (22, 138, 82) if result.reward >= 0.5 else (206, 52, 52)
        lines.append((f"{name}: {result.score:.1f} of 10, {met} of {len(result.verdicts)} met", colour))
    return lines


def _side_by_side(pictures: Sequence[Image.Image]) -> Image.Image:
    """All of them in one row, in order."""
    if len(pictures) == 1:
        return pictures[0]
    row = Image.new("RGB", (sum(each.width for each in pictures), max(each.height for each in pictures)))
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width
    return row


def _fit(picture: Image.Image) -> Image.Image:
    factor = PICTURE_SIDE // max(picture.size)
    if factor >= 1:
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    shrunk = picture.copy()
    shrunk.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    return shrunk


def _data_uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
