"""`edit-rrm-train pairs`: preference data from published layouts."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from edit_rrm_training.cli.terminal import console, failed, writable_file
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.errors import TrainingError

pairs_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="Preference pairs: what GCPO learns from."
)


@pairs_app.callback()
def main() -> None:
    """Keeps `import` a command of its own."""


Out = Annotated[
    Path, typer.Option(help="JSONL file of PreferencePair rows to write.", callback=writable_file)
]


@pairs_app.command("import")
def import_pairs(
    layout: Annotated[str, typer.Option(help="editreward-data, editscore-bench, tiger-bench or gold-edits.")],
    data: Annotated[Path, typer.Option(help="The published file or folder.", exists=True)],
    out: Out,
    images: Annotated[
        Path | None, typer.Option(help="Where image paths start; DATA's folder without.")
    ] = None,
    preferred_second: Annotated[
        bool, typer.Option(help="editscore-bench: the second output is the preferred one.")
    ] = False,
) -> None:
    """Turn published preference data into PreferencePair rows; embedded images go to images/ beside OUT."""
    from edit_rrm.whole_files import write_whole
    from edit_rrm_training.data.jsonl import write_rows
    from edit_rrm_training.data.layouts import READERS, read_editscore_bench, with_pictures_at

    if layout not in READERS:
        raise typer.BadParameter(f"unknown layout {layout!r}; expected one of {list(READERS)}")
    home = out.parent
    start = images or (data if data.is_dir() else data.parent)

    def keep(image: bytes) -> str:
        path = home / "images" / f"{hashlib.sha256(image).hexdigest()[:32]}.img"
        if not path.exists():
            write_whole(path, image)  # a torn one would be taken for whole the next time
        return str(path.relative_to(home))

    if preferred_second and layout != "editscore-bench":
        raise typer.BadParameter("--preferred-second is for editscore-bench")
    pairs = read_editscore_bench(data, False) if preferred_second else READERS[layout](data)
    labels: list[str] = []

    def rows() -> Iterator[PreferencePair]:
        for pair in pairs:
            labels.append(pair.label)
            yield with_pictures_at(pair, start, home, keep)

    try:
        write_rows(out, rows())
    except (TrainingError, OSError) as error:
        raise failed(error) from error
    console.print(f"{len(labels)} pairs in {out}, {labels.count('same')} of them labelled 'same'")
