"""`edit-rrm-train principles`: gives preference pairs the principles that GCPO asks about."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edit_rrm.errors import EditRRMError
from edit_rrm_training.cli.evaluate import Checkpoint, Server, chosen_checkpoint, judge_of
from edit_rrm_training.cli.terminal import console, failed, progress_bars, writable_file
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.data.principles_store import Found
from edit_rrm_training.errors import TrainingError

if TYPE_CHECKING:
    from edit_rrm_training.evaluation.judging import Judge


def principles(
    pairs: Annotated[Path, typer.Option(help="JSONL or Parquet file of PreferencePair rows.", exists=True)],
    out: Annotated[Path, typer.Option(help="JSONL file to write.", callback=writable_file)],
    checkpoint: Checkpoint = None,
    server: Server = None,
    batch: Annotated[int, typer.Option(min=1, help="Edits asked about at once.")] = 64,
) -> None:
    """Give preference pairs the principles that GCPO asks about, by a checkpoint here or by a service.

    An edit is decomposed once, whatever pairs it has; pairs that have principles keep them. Safe to kill: the
    same command continues. Those whose edit cannot be decomposed are left out, with the reason in
    OUT.left-out.jsonl. Pictures stay where they are.

        edit-rrm-train principles --pairs pairs.jsonl --checkpoint runs/sft/final --out filled.jsonl

        edit-rrm-train principles --pairs pairs.jsonl --url http://127.0.0.1:8000 --out filled.jsonl
    """
    from edit_rrm_training.data.jsonl import read_rows, whole_file
    from edit_rrm_training.data.principles_store import decompose_missing, filled, missing

    store = out.with_name(out.name + ".store.jsonl")
    try:
        directory = chosen_checkpoint(checkpoint, server)
        todo = missing(read_rows(pairs, PreferencePair), store)
        if todo:
            console.print(f"{len(todo)} edits to decompose")
            judge = judge_of(directory, server, score_only=False)
            with progress_bars() as bars:
                bar = bars.add_task("principles", total=len(todo))
                decompose_missing(
                    todo,
                    store,
                    lambda part: _decomposed(judge, part, pairs),
                    chunk=batch,
                    on_done=lambda count: bars.advance(bar, count),
                )
        left_out = out.with_name(out.name + ".left-out.jsonl")
        kept = without = 0
        with whole_file(out) as lines, whole_file(left_out) as problems:
            rows = list(read_rows(pairs, PreferencePair))
            for pair, found in zip(rows, filled(rows, store), strict=True):
                if isinstance(found, PreferencePair):
                    kept += 1
                    moved = _moved(found, pairs.parent, out.parent)
                    lines.write(moved.model_dump_json(exclude_none=True) + "\n")
                else:
                    without += 1
                    problems.write(json.dumps({"id": pair.id, "problem": found.problem}) + "\n")
    except (TrainingError, EditRRMError, OSError) as error:
        raise failed(error) from error
    if not without:
        left_out.unlink()
    store.unlink(missing_ok=True)
    told = f"; {without} left out, see {left_out}" if without else ""
    console.print(f"{kept} pairs with principles in {out}{told}")


def _decomposed(judge: "Judge", pairs: Sequence[PreferencePair], file: Path) -> list[Found]:
    from edit_rrm_training.data.pictures import load_picture_of_row
    from edit_rrm_training.evaluation.judging import Question

    questions = [
        Question(
            pair.instruction,
            load_picture_of_row(pair.source, file, 0, "source", f"pair {pair.id!r}"),
            (),
        )
        for pair in pairs
    ]
    return [
        found.text if found.principles is None else found.principles for found in judge.decompose(questions)
    ]


def _moved(pair: PreferencePair, old: Path, new: Path) -> PreferencePair:
    from edit_rrm_training.data.pictures import rebased

    names = ("source", "preferred", "non_preferred")
    return pair.model_copy(update={name: rebased(getattr(pair, name), old, new) for name in names})
