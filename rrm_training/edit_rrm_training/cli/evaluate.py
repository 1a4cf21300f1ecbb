"""`edit-rrm-train evaluate` and `evaluate-pairs`: measure a checkpoint here, or a running service."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.markdown import Markdown

from edit_rrm.errors import EditRRMError
from edit_rrm_training.cli.terminal import (
    AsJson,
    console,
    failed,
    known_checkpoint,
    notes,
    print_json,
    progress_bars,
    writable_file,
    writable_folder,
)
from edit_rrm_training.errors import TrainingError

if TYPE_CHECKING:
    from edit_rrm_training.evaluation.evaluate import Evaluation, JudgedEdit
    from edit_rrm_training.evaluation.judging import Drawing, Judge

API_KEY_VARIABLE = "EDIT_RRM_API_KEY"

Checkpoint = Annotated[
    Path | None,
    typer.Option(help="A checkpoint's directory, that of the run that made it, or a registered name."),
]
Server = Annotated[
    str | None,
    typer.Option(
        "--url", help=f"Address of a running service instead; a key is read from {API_KEY_VARIABLE}."
    ),
]
ScoreOnly = Annotated[
    bool, typer.Option(help="The checkpoint is a holistic scorer: no principles, no trace.")
]
Samples = Annotated[int, typer.Option(min=1, max=8, help="Also measure pairs with up to so many samples.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Directory for evaluation.json, .md, traces.jsonl and plots.", callback=writable_folder
    ),
]
Temperature = Annotated[float, typer.Option(min=0.01, help="Of those samples.")]


def chosen_checkpoint(
    checkpoint: Path | None,
    server: str | None,
    *,
    score_only: bool = False,
    trained: bool = False,
    record: bool = False,
) -> Path | None:
    """The directory of the checkpoint that the options name; None where they name a service.

    `trained` refuses one without the trained profile. All that can be said before anything is loaded.
    """
    if record and checkpoint is None:
        raise typer.BadParameter("--record writes into a --checkpoint")
    if (checkpoint is None) == (server is None):
        raise typer.BadParameter("expected exactly one of --checkpoint and --url")
    if server is not None:
        if score_only:
            raise typer.BadParameter("the service serves verifiers: --score-only needs a --checkpoint")
        _check_address(server)
        return None
    from edit_rrm.checkpoint import FILE_NAME, read_card
    from edit_rrm.outputs import check_output_file
    from edit_rrm.run_directories import what_it_holds

    directory = known_checkpoint(checkpoint)
    assert directory is not None
    if trained and read_card(directory).profile != "trained":
        raise typer.BadParameter(
            f"{directory} has no rrm.json of a trained checkpoint; {what_it_holds(directory)}"
        )
    if record:
        check_output_file(directory / FILE_NAME)
    return directory


def _check_address(server: str) -> None:
    try:
        url = urlsplit(server)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise typer.BadParameter(f"--url: expected an address like http://127.0.0.1:8000, got {server!r}")


def judge_of(checkpoint: Path | None, server: str | None, score_only: bool) -> "Judge":
    """The judge of a `chosen_checkpoint`, or of the service where that is None."""
    if checkpoint is None:
        from edit_rrm_training.evaluation.http_judge import HttpJudge

        assert server is not None
        return HttpJudge(server, api_key=os.environ.get(API_KEY_VARIABLE))
    from edit_rrm.checkpoint import read_card
    from edit_rrm.quiet_libraries import quieten_loading

    quieten_loading()
    from edit_rrm_training.evaluation.in_process import InProcessJudge, ScoreOnlyJudge
    from edit_rrm_training.rollouts.offline_engine import OfflineEngine

    card = read_card(checkpoint)
    notes.print("loading vLLM (half a minute) …")
    engine = OfflineEngine(checkpoint)
    return ScoreOnlyJudge(engine, card) if score_only else InProcessJudge(engine, card)


def evaluate(
    edits: Annotated[
        Path, typer.Option(help="Folder with edits.jsonl: edits with gold verdicts.", exists=True)
    ],
    checkpoint: Checkpoint = None,
    server: Server = None,
    count: Annotated[int | None, typer.Option(min=1, help="Only the first so many edits.")] = None,
    same_zone: Annotated[
        float, typer.Option(min=0.0, help="Pairs whose utilities differ by less are left out.")
    ] = 0.0,
    score_only: ScoreOnly = False,
    samples: Samples = 1,
    temperature: Temperature = 0.7,
    out: Out = None,
    record: Annotated[bool, typer.Option(help="Write the results into the checkpoint's rrm.json.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a checkpoint, by free generation through vLLM, or a service on edits with gold verdicts.

    Prints traces that parse, verdict accuracy by category, pairwise accuracy against gold utility and usable
    decompositions, each with its 95 % interval and sample size; then pairs by category, precision and recall,
    calibration, agreement with utility, and accuracy by number of samples.

    EDITS holds edits.jsonl, an edit a line (docs/rrm-data.md has the fields):

        {"id": "1", "category": "colour", "instruction": "make the car blue", "source": "1.png",
         "principles": [{"question": "Is the car blue?", "category": "follow"}],
         "candidates": [{"image": "1-a.png", "verdicts": [1], "utility": 8.0}]}

        edit-rrm-train evaluate --edits my-edits --checkpoint runs/gcpo/final
    """
    from itertools import islice

    from edit_rrm_training.data.gold_edits import check_gold_edits, read_gold_edits
    from edit_rrm_training.evaluation.evaluate import evaluate as run

    try:
        directory = chosen_checkpoint(checkpoint, server, score_only=score_only, trained=True, record=record)
        total = check_gold_edits(edits, count)
        judge = judge_of(directory, server, score_only)
        with progress_bars() as progress:
            bar = progress.add_task("edits", total=total)
            evaluation, judged = run(
                judge, islice(read_gold_edits(edits), count), data=str(edits), same_zone=same_zone,
                warm=warm_drawing(samples, temperature),
                progress=lambda done: progress.update(bar, completed=done),
            )  # fmt: skip
    except (TrainingError, EditRRMError, OSError) as error:
        raise failed(error) from error
    show_evaluation(evaluation, judged, judge, same_zone, out, as_json)
    if record and directory is not None:
        from edit_rrm_training.evaluation.report import record_results

        record_results(directory, evaluation)


def warm_drawing(samples: int, temperature: float) -> "Drawing | None":
    """How further samples are drawn; None where one is enough."""
    from edit_rrm_training.evaluation.judging import Drawing

    return Drawing(samples, temperature) if samples > 1 else None


def show_evaluation(
    evaluation: "Evaluation",
    judged: "Sequence[JudgedEdit]",
    judge: "Judge",
    same_zone: float,
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints the tables, or their numbers `as_json`, and writes them and the plots to `out`."""
    from edit_rrm_training.evaluation.details import details_of

    details = details_of(judged, verdicts=judge.gives_verdicts, same_zone=same_zone)
    if as_json:
        print_json({**evaluation.as_dict(), "details": details.as_dict()})
    else:
        console.print(Markdown(evaluation.markdown()))
        console.print(Markdown(details.markdown()))
    if out is not None:
        from edit_rrm_training.evaluation.report import write_report

        write_report(out, evaluation, details, judged)
        notes.print(f"written to {out}")


def evaluate_pairs(
    pairs: Annotated[Path, typer.Option(help="JSONL of PreferencePair rows.", exists=True)],
    checkpoint: Checkpoint = None,
    server: Server = None,
    score_only: ScoreOnly = False,
    samples: Annotated[int, typer.Option(min=1, max=32, help="Samples a candidate, averaged.")] = 1,
    temperature: Annotated[float | None, typer.Option(help="The checkpoint's own without it.")] = None,
    like_source: Annotated[bool, typer.Option(help="Resize candidates to the source's size first.")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.", callback=writable_file)] = None,
    as_json: AsJson = False,
) -> None:
    """Measure pairwise accuracy on preference pairs, over all and by category. Ties count as wrong.

    edit-rrm-train evaluate-pairs --pairs held-out.jsonl --checkpoint runs/gcpo
    edit-rrm-train evaluate-pairs --pairs held-out.jsonl --url http://127.0.0.1:8000 --json
    """
    from edit_rrm_training.data.preferences import check_pairs, read_pairs
    from edit_rrm_training.evaluation.judging import Drawing
    from edit_rrm_training.evaluation.pairs import evaluate_pairs as run

    try:
        directory = chosen_checkpoint(checkpoint, server, score_only=score_only)
        check_pairs(pairs)
        data = read_pairs(pairs)
        judge = judge_of(directory, server, score_only)
        with progress_bars() as progress:
            bar = progress.add_task("pairs", total=len(data.pairs))
            found = run(
                judge, data, pairs.parent, drawing=Drawing(samples, temperature), like_source=like_source,
                progress=lambda done: progress.update(bar, completed=done),
            )  # fmt: skip
    except (TrainingError, EditRRMError, OSError) as error:
        raise failed(error) from error
    if as_json:
        print_json(found.as_dict())
    else:
        console.print(Markdown(found.markdown()))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found.as_dict(), indent=2) + "\n")
        notes.print(f"written to {out}")
