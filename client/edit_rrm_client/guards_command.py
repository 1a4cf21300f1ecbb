"""`edit-rrm guards`: what the image guards see of an edit, as a table and a picture. Asks no service."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from edit_rrm.errors import ImageError
from edit_rrm.guards import ChangeMap, EditGuards, GuardResult, reward_ceiling
from edit_rrm.images import EditImage, decode_image
from edit_rrm.lettering import font, wrap
from edit_rrm_client.pictures import FADED, INK, MISSED, PAPER

EXIT_BAD_INPUT = 2
_DRAWN_AS = (".png", ".jpg", ".jpeg", ".webp")
_PANEL = 512
_GAP = 16
_MARGIN = 28
_LINE = 24


def guards(
    source: Annotated[Path, typer.Argument(help="The image before the edit.")],
    edited: Annotated[Path, typer.Argument(help="The image after the edit.")],
    instruction: Annotated[
        str | None,
        typer.Option(help="What was asked for. Without it every guard that fires decides."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to draw source, edited image and what changed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show what was aligned, where an edit changed its source, and what each guard measured.

        edit-rrm guards before.png after.png --instruction "make the car blue" --out guards.png

    Needs no service: it is what a service with default settings would find. Guards are explained in
    docs/guards.md.
    """
    if out is not None:
        _check_out(out, source, edited)
    before, after = (_read(path) for path in (source, edited))
    checks = EditGuards(before, instruction=instruction)
    results, change = checks.check(after), checks.change_map(after)
    if as_json:
        typer.echo(json.dumps(_as_json(results, change), indent=2))
    else:
        Console().print(_table(results, change))
    if out is not None:
        try:
            draw_guards(before.image, after.image, results, change, instruction or "").save(out)
        except OSError as error:
            _refused(f"{out}: {error.strerror or error}")
        typer.echo(f"drawn: {out}", err=True)


def draw_guards(
    source: Image.Image,
    edited: Image.Image,
    results: tuple[GuardResult, ...],
    change: ChangeMap,
    instruction: str,
) -> Image.Image:
    """An RGB picture: source, edited image and change beside each other, and the findings under them."""
    panels = [
        ("source", _fitted(source)),
        ("edited", _fitted(edited)),
        (f"what changed: {change.share:.1%} of it", _fitted(change.drawn_on(edited, _PANEL))),
    ]
    width = 2 * _MARGIN + sum(panel.width for _, panel in panels) + _GAP * (len(panels) - 1)
    title = wrap(instruction, 22, width - 2 * _MARGIN, max_lines=2) if instruction else []
    lines = _lines(results, change)
    top = _MARGIN + 30 * len(title)
    tallest = max(panel.height for _, panel in panels)
    sheet = Image.new("RGB", (width, top + _LINE + tallest + 20 + _LINE * len(lines) + _MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, text in enumerate(title):
        draw.text((_MARGIN, _MARGIN - 10 + 30 * number), text, INK, font(22))
    left = _MARGIN
    for label, panel in panels:
        draw.text((left, top), label, FADED, font(17))
        sheet.paste(panel, (left, top + _LINE))
        left += panel.width + _GAP
    for number, (text, fired) in enumerate(lines):
        place = (_MARGIN, top + _LINE + tallest + 16 + _LINE * number)
        draw.text(
            place, wrap(text, 18, width - 2 * _MARGIN, max_lines=1)[0], MISSED if fired else INK, font(18)
        )
    return sheet


def _check_out(out: Path, *inputs: Path) -> None:
    if out.suffix.lower() not in _DRAWN_AS:
        _refused(f"{out}: name a file that ends in {' or '.join(_DRAWN_AS)}")
    if out.is_dir() or not out.absolute().parent.is_dir():
        _refused(f"{out}: is a folder, or lies in none that there is")
    if any(out.absolute() == path.absolute() for path in inputs):
        _refused(f"{out}: is one of the two images itself")


def _refused(reason: str) -> NoReturn:
    typer.echo(f"edit-rrm: {reason}", err=True)
    raise typer.Exit(EXIT_BAD_INPUT)


def _read(path: Path) -> EditImage:
    try:
        return decode_image(path.read_bytes())
    except ImageError as error:
        _refused(f"{path}: {error}")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        _refused(str(error))


def _fitted(image: Image.Image) -> Image.Image:
    scale = _PANEL / max(image.size)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))


def _effect(result: GuardResult) -> str:
    if not result.triggered:
        return result.note or "passed"
    if result.decides:
        return "fired: reward 0" if reward_ceiling([result]) == 0.0 else "fired: reward at most 0.5"
    return f"fired, reported only: {result.note}"


def _moved(change: ChangeMap) -> str:
    found = change.alignment
    if found is None:
        return "nothing: they lie as they are, or no small movement explains the change"
    return (
        f"a shift of {found.shift_x:+.2%} of the width and {found.shift_y:+.2%} of the height, "
        f"a zoom of {found.zoom:.4f}, a turn of {found.degrees:+.2f} degrees"
    )


def _lines(results: tuple[GuardResult, ...], change: ChangeMap) -> list[tuple[str, bool]]:
    found = [(f"{r.name} {r.value:.3f}: {_effect(r)}", r.decides) for r in results]
    return [*found, (f"undone before comparing: {_moved(change)}", False)]


def _table(results: tuple[GuardResult, ...], change: ChangeMap) -> Table:
    table = Table("guard", "value", "what it does", box=None, pad_edge=False)
    for result in results:
        style = "bold red" if result.decides else "yellow" if result.triggered else "green"
        table.add_row(result.name, f"{result.value:.3f}", f"[{style}]{_effect(result)}[/]")
    table.add_section()
    table.add_row("changed", f"{change.share:.1%}", "of the picture")
    table.add_row("undone", "", _moved(change))
    return table


def _as_json(results: tuple[GuardResult, ...], change: ChangeMap) -> dict[str, object]:
    return {
        "reward_ceiling": reward_ceiling(results),
        "changed": round(change.share, 4),
        "alignment": None if change.alignment is None else asdict(change.alignment),
        "guards": [
            {"name": r.name, "triggered": r.triggered, "value": r.value, "decides": r.decides, "note": r.note}
            for r in results
        ],
    }
