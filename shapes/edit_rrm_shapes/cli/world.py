"""The world's commands: look at it, write edits, pairs and rows of it, hold labels against its truth."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from edit_rrm.errors import EditRRMError
from edit_rrm_shapes.cli import PROGRAM
from edit_rrm_training.cli.terminal import (
    AsJson,
    console,
    failed,
    print_json,
    progress_bars,
    writable_file,
    writable_folder,
)
from edit_rrm_training.errors import RowError, TrainingError

Seed = Annotated[int, typer.Option(help="World seed: below 1000 for training, 2000 and above for tests.")]


def _png(out: Path) -> Path:
    if out.suffix.lower() != ".png":
        raise typer.BadParameter(f"{out}: expected a name that ends in .png")
    writable_file(out)
    return out


def show(
    out: Annotated[Path, typer.Option(help="PNG to write.", callback=_png)] = Path("shapes.png"),
    seed: Seed = 0,
    count: Annotated[int, typer.Option(min=1, max=200, help="How many edits, one row each.")] = 8,
    candidates: Annotated[int, typer.Option(min=1, max=8, help="Candidates per edit.")] = 4,
) -> None:
    """Draw a contact sheet: source, instruction, candidates with their gold verdicts, score and utility.

    Example: edit-rrm-shapes show --seed 7 --out shapes.png
    """
    from edit_rrm_shapes.world.contact_sheet import contact_sheet

    sheet = contact_sheet(seed, count, candidates)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out)
    console.print(f"contact sheet of {count} edits: {out}")


def generate(
    out: Annotated[
        Path,
        typer.Option(
            help="Directory to write images/, edits.jsonl, edited.jsonl and pairs.jsonl to.",
            callback=writable_folder,
        ),
    ],
    seed: Seed = 0,
    count: Annotated[int, typer.Option(min=1, help="How many edits.")] = 100,
    candidates: Annotated[int, typer.Option(min=1, max=24, help="Candidates per edit.")] = 4,
) -> None:
    """Write edits with candidates, gold verdicts and preference pairs; the same seed writes the same bytes.

    `edit-rrm-train evaluate --edits` reads the folder, `edit-grpo train` edits.jsonl in it, `edit-rrm score`
    edited.jsonl, `edit-rrm-train gcpo` and `evaluate-pairs` pairs.jsonl.

        edit-rrm-shapes generate --seed 7 --count 200 --out runs/shapes
        edit-rrm score runs/shapes/edited.jsonl --out runs/scores.jsonl
        edit-rrm-train evaluate-pairs --pairs runs/shapes/pairs.jsonl --checkpoint edit-rrm-tiny
    """
    from edit_rrm_shapes.world.dataset_files import write_dataset

    with progress_bars() as progress:
        bar = progress.add_task("edits", total=count)
        write_dataset(out, seed, count, candidates, lambda: progress.advance(bar))
    console.print(f"{count} edits with {candidates} candidates each in {out}")


def edits(
    out: Annotated[Path, typer.Option(help="JSONL file to write.", callback=writable_file)],
    seed: Seed = 0,
    count: Annotated[int, typer.Option(min=1, help="How many edits.")] = 1000,
) -> None:
    """Write sources and instructions by reference, without a picture: where the data pipeline starts.

    Example: edit-rrm-shapes edits --seed 11 --count 7500 --out runs/data/edits.jsonl
    """
    from edit_rrm_shapes.world.rows import shapes_edit_rows
    from edit_rrm_training.data.jsonl import write_rows

    write_rows(out, shapes_edit_rows(seed, count))
    console.print(f"{count} edits in {out}")


def pairs(
    out: Annotated[
        Path, typer.Option(help="JSONL file of PreferencePair rows to write.", callback=writable_file)
    ],
    seed: Seed,
    count: Annotated[int, typer.Option(min=1, help="How many edits the pairs come from.")] = 1000,
    candidates: Annotated[int, typer.Option(min=2, max=8, help="Candidates per edit; all their pairs.")] = 4,
) -> None:
    """Write preference pairs by reference, with gold principles, as the world's annotator labels them.

    Example: edit-rrm-shapes pairs --seed 12 --count 1000 --out runs/pairs.jsonl
    """
    from edit_rrm_shapes.world.rows import shapes_pair_rows
    from edit_rrm_training.data.jsonl import write_rows

    written = write_rows(out, shapes_pair_rows(seed, count, candidates))
    console.print(f"{written} pairs of {count} edits in {out}")


def labels(
    rows: Annotated[
        Path, typer.Argument(help="think.jsonl, verify.jsonl or think+verify.jsonl.", exists=True)
    ],
    as_json: AsJson = False,
) -> None:
    """Hold the labels of a training set against the truth: verdicts by category, order of scores.

    Example: edit-rrm-shapes labels runs/data/sft/think+verify.jsonl
    """
    from edit_rrm_shapes.world.labels import label_shares
    from edit_rrm_training.data.sft_rows import read_sft_rows
    from edit_rrm_training.evaluation.evaluate import share_table

    try:
        shares = label_shares(read_sft_rows(rows))
        if not any(share.total for share in shares.values()):
            raise RowError(rows, 0, "", "holds no row")
        if as_json:
            print_json({name: share.as_dict() for name, share in shares.items()})
        else:
            console.print(Markdown(share_table(rows.stem, shares)))
    except (TrainingError, EditRRMError, OSError) as error:
        raise failed(error, PROGRAM) from error
