"""`edit-rrm-shapes oracle` and `judge`: the oracle's accuracy, and what it says of an editor."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from edit_rrm_shapes.cli import PROGRAM
from edit_rrm_shapes.errors import ShapesError
from edit_rrm_training.cli.terminal import (
    AsJson,
    console,
    failed,
    notes,
    print_json,
    progress_bars,
    writable_file,
)
from edit_rrm_training.errors import TrainingError


def oracle(
    seed: Annotated[int, typer.Option(help="World seed; 2000 and above are held out.")] = 2000,
    count: Annotated[int, typer.Option(min=1, help="How many edits; each is eleven pictures.")] = 500,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.", callback=writable_file)] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the oracle: scenes read from clean and treated renderings, judgements of simulated editors.

    Example: edit-rrm-shapes oracle --seed 2000 --count 500 --out runs/oracle.json
    """
    from edit_rrm_shapes.oracle.accuracy import measure
    from edit_rrm_training.data.jsonl import whole_file

    with progress_bars() as progress:
        bar = progress.add_task("edits", total=count)
        accuracy = measure(seed, count, lambda: progress.advance(bar))
    if as_json:
        print_json(accuracy.as_dict())
    else:
        console.print(Markdown(accuracy.markdown()))
    if out is not None:
        with whole_file(out) as file:
            file.write(json.dumps(accuracy.as_dict(), indent=2) + "\n")
        notes.print(f"written to {out}")


def judge(
    edits: Annotated[Path, typer.Option(help="edits.jsonl of the shapes world.", exists=True)],
    pictures: Annotated[Path, typer.Option(help="Directory with EDIT-ID.png of every edit.", exists=True)],
    out: Annotated[
        Path, typer.Option(help="JSONL file to write, one judged picture a line.", callback=writable_file)
    ],
    summary: Annotated[
        Path | None, typer.Option(help="JSON file to write the table to as well.", callback=writable_file)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge an editor's pictures by the oracle: success and mean utility, over all and by category.

    Example: edit-rrm-shapes judge --edits runs/shapes/edits.jsonl --pictures edited --out judged.jsonl
    """
    from edit_rrm_shapes.oracle.edited_pictures import (
        JudgedPicture,
        judge_pictures,
        summarise,
        summary_table,
    )
    from edit_rrm_training.data.jsonl import whole_file, write_rows

    judged: list[JudgedPicture] = []
    try:
        with progress_bars() as progress:
            bar = progress.add_task("pictures", total=None)
            for picture in judge_pictures(edits, pictures):
                judged.append(picture)
                progress.advance(bar)
    except (TrainingError, ShapesError, OSError) as error:
        raise failed(error, PROGRAM) from error
    if not judged:
        raise failed(f"{edits} holds no edit", PROGRAM)
    write_rows(out, judged)
    results = summarise(judged)
    if summary is not None:
        with whole_file(summary) as file:
            file.write(json.dumps({name: r.as_dict() for name, r in results.items()}, indent=2) + "\n")
    if as_json:
        print_json({name: r.as_dict() for name, r in results.items()})
    else:
        console.print(Markdown(summary_table(results)))
    notes.print(f"{len(judged)} pictures judged, written to {out}")
