"""`edit-rrm-train evaluate` and `evaluate-pairs`: measure a checkpoint here, or a running service."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markdown import Markdown

from edit_rrm_training.cli.terminal import console, progress_bars
from edit_rrm_training.errors import TrainingError

if TYPE_CHECKING:
    from edit_rrm_training.evaluation.judging import Judge

API_KEY_VARIABLE = "EDIT_RRM_API_KEY"

Checkpoint = Annotated[Path | None, typer.Option(help="Checkpoint directory with rrm.json.", exists=True)]
Server = Annotated[
    str | None,
    typer.Option(help=f"Address of a running service instead; a key is read from {API_KEY_VARIABLE}."),
]
ScoreOnly = Annotated[
    bool, typer.Option(help="The checkpoint is a holistic scorer: no principles, no trace.")
]
Samples = Annotated[int, typer.Option(min=1, max=8, help="Also measure pairs with up to so many samples.")]
Temperature = Annotated[float, typer.Option(min=0.01, help="Of those samples.")]


def _judge(checkpoint: Path | None, server: str | None, score_only: bool, trained: bool = False) -> "Judge":
    """The judge that the options name; `trained` refuses a checkpoint without the trained profile."""
    if (checkpoint is None) == (server is None):
        raise typer.BadParameter("expected exactly one of --checkpoint and --server")
    if server is not None:
        from edit_rrm_training.evaluation.http_judge import HttpJudge

        if score_only:
            raise typer.BadParameter("the service serves verifiers: --score-only needs a --checkpoint")
        return HttpJudge(server, api_key=os.environ.get(API_KEY_VARIABLE))
    assert checkpoint is not None
    from edit_rrm.checkpoint import read_card
    from edit_rrm_training.evaluation.in_process import InProcessJudge, ScoreOnlyJudge
    from edit_rrm_training.rollouts.offline_engine import OfflineEngine

    card = read_card(checkpoint)
    if trained and card.profile != "trained":
        raise typer.BadParameter(f"{checkpoint} has no rrm.json of a trained checkpoint")
    console.print("loading vLLM (half a minute) …")
    engine = OfflineEngine(checkpoint)
    return ScoreOnlyJudge(engine, card) if score_only else InProcessJudge(engine, card)


def evaluate(
    checkpoint: Checkpoint = None,
    server: Server = None,
    seed: Annotated[int, typer.Option(help="World seed; training never uses 1000 and above.")] = 2000,
    count: Annotated[int, typer.Option(min=1, help="How many held-out edits.")] = 1000,
    candidates: Annotated[int, typer.Option(min=2, help="Candidates per edit.")] = 4,
    score_only: ScoreOnly = False,
    samples: Samples = 1,
    temperature: Temperature = 0.7,
    out: Annotated[
        Path | None, typer.Option(help="Directory for evaluation.json, .md, traces.jsonl and plots.")
    ] = None,
    record: Annotated[
        bool, typer.Option(help="Write the results into the checkpoint's rrm.json and model card.")
    ] = False,
) -> None:
    """Measure a checkpoint on held-out shape edits by free generation through vLLM, or a running service.

    Prints traces that parse, verdict accuracy by category, pairwise accuracy against gold utility and the
    quality of decompositions, each with its 95 % interval and sample size; then pairs by category, precision
    and recall, calibration, agreement with utility, and accuracy by number of samples.
    """
    from edit_rrm_training.evaluation.details import details_of
    from edit_rrm_training.evaluation.evaluate import evaluate as run
    from edit_rrm_training.evaluation.judging import Drawing

    if record and checkpoint is None:
        raise typer.BadParameter("--record writes into a --checkpoint")
    judge = _judge(checkpoint, server, score_only, trained=True)
    with progress_bars() as progress:
        bar = progress.add_task("edits", total=count)
        try:
            evaluation, judged = run(
                judge, seed=seed, count=count, candidate_count=candidates,
                warm=Drawing(samples, temperature) if samples > 1 else None,
                progress=lambda done: progress.update(bar, completed=done),
            )  # fmt: skip
        except TrainingError as error:
            console.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from error
    details = details_of(judged, verdicts=judge.gives_verdicts)
    console.print(Markdown(evaluation.markdown()))
    console.print(Markdown(details.markdown()))
    if record and checkpoint is not None:
        from edit_rrm_shapes.tiny_rrm.bundle import record_results

        record_results(checkpoint, evaluation)
    if out is not None:
        from edit_rrm_training.evaluation.report import write_report

        write_report(out, evaluation, details, judged)
        console.print(f"written to {out}")


def evaluate_pairs(
    pairs: Annotated[Path, typer.Option(help="JSONL of PreferencePair rows.", exists=True)],
    checkpoint: Checkpoint = None,
    server: Server = None,
    score_only: ScoreOnly = False,
    samples: Annotated[int, typer.Option(min=1, max=32, help="Samples a candidate, averaged.")] = 1,
    temperature: Annotated[float | None, typer.Option(help="The checkpoint's own without it.")] = None,
    like_source: Annotated[bool, typer.Option(help="Resize candidates to the source's size first.")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
) -> None:
    """Measure pairwise accuracy on preference pairs, over all and by category. Ties count as wrong."""
    from edit_rrm.errors import EditRRMError
    from edit_rrm_training.data.preferences import read_pairs
    from edit_rrm_training.evaluation.judging import Drawing
    from edit_rrm_training.evaluation.pairs import evaluate_pairs as run

    try:
        data = read_pairs(pairs)
        judge = _judge(checkpoint, server, score_only)
        with progress_bars() as progress:
            bar = progress.add_task("pairs", total=len(data.pairs))
            found = run(
                judge, data, pairs.parent, drawing=Drawing(samples, temperature), like_source=like_source,
                progress=lambda done: progress.update(bar, completed=done),
            )  # fmt: skip
    except (TrainingError, EditRRMError, OSError) as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
    console.print(Markdown(found.markdown()))
    if out is not None:
        out.write_text(json.dumps(found.as_dict(), indent=2) + "\n")
        console.print(f"written to {out}")
