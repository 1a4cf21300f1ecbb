"""`edit-rrm-shapes reproduce-rrm`: the paper's table in miniature, from data to docs/results/rrm/."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from edit_rrm_shapes.cli import PROGRAM
from edit_rrm_shapes.errors import ShapesError
from edit_rrm_training.cli.terminal import console, failed, writable_folder
from edit_rrm_training.errors import TrainingError

if TYPE_CHECKING:
    from edit_rrm_shapes.reproduce_rrm.graph import Stage
    from edit_rrm_shapes.staged.state import StageStates


def reproduce_rrm(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run directory; what is done there is not repeated.",
            show_default="runs/reproduce",
            callback=writable_folder,
        ),
    ] = None,
    stage: Annotated[list[str] | None, typer.Option(help="Only this stage; repeat it for several.")] = None,
    size: Annotated[Literal["s", "m"] | None, typer.Option(help="Only the stages of one size.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw pictures for a training.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of a stage; the estimates are for one.")] = 1,
    results: Annotated[
        Path | None,
        typer.Option(
            help="Where results.json, table.md and plots go.",
            show_default="docs/results/rrm",
            callback=writable_folder,
        ),
    ] = None,
    train_bases: Annotated[
        bool, typer.Option("--train-bases", help="Train the bases anew; they ship with the package.")
    ] = False,
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            help="Count as measured what RESULTS/measured holds of the same plan, and run the rest.",
        ),
    ] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Show the stages and how they stand.")] = False,
    quick: Annotated[
        bool,
        typer.Option(
            help="A few steps of everything, all in runs/reproduce-quick; its numbers mean nothing."
        ),
    ] = False,
    here: Annotated[bool, typer.Option(hidden=True, help="Run the stage in this very process.")] = False,
) -> None:
    """The paper's table in miniature: T, V, T+V, T+V+GCPO and a holistic scorer, in two sizes.

    Safe to kill; the same command goes on. Run it twice, side by side, and the two share the work: a stage
    has a process and a log (OUT/logs) of its own.

        edit-rrm-shapes reproduce-rrm --list
        edit-rrm-shapes reproduce-rrm
        edit-rrm-shapes reproduce-rrm --stage table    # of what is measured so far
        edit-rrm-shapes reproduce-rrm --published      # without the models somebody else has measured
    """
    from edit_rrm_shapes.reproduce_rrm.dependence import refuse_outdated
    from edit_rrm_shapes.reproduce_rrm.graph import chosen, graph, without_idle
    from edit_rrm_shapes.reproduce_rrm.plan import FULL, QUICK
    from edit_rrm_shapes.staged.running import launch_process, run_graph
    from edit_rrm_shapes.staged.state import StageStates

    out = out or Path("runs/reproduce-quick" if quick else "runs/reproduce")
    results = results or (out / "results" if quick else Path("docs/results/rrm"))
    plan = QUICK if quick else FULL
    states = StageStates(out)
    try:
        stages = chosen(graph(plan), stage or (), size)
        if published:
            from edit_rrm_shapes.reproduce_rrm.published import published_models, take

            known = published_models(results, plan) if only_list else take(out, results, plan)
            console.print(f"measured elsewhere: {', '.join(map(str, known)) or 'nothing new'}")
            if not stage and not only_list:
                stages = without_idle(stages, states.is_done)
        if only_list:
            console.print(_table(stages, states))
            return
        if here:
            from edit_rrm_shapes.reproduce_rrm.dependence import settings_of
            from edit_rrm_shapes.reproduce_rrm.stages import Surroundings, run_stage
            from edit_rrm_training.rollouts.offline_engine import OfflineEngine

            around = Surroundings(
                out, results, OfflineEngine, workers, train_bases, lambda text: print(text, flush=True)
            )
            for one in stages:
                with states.timed(one.name, settings_of(one, plan)):
                    run_stage(one, plan, around)
            return
        if [one.kind for one in stages] == ["table"]:  # of what is measured so far; at any time, and again
            from edit_rrm_shapes.reproduce_rrm.reporting import write_results

            write_results(plan, out, results)
            console.print(f"{results / 'table.md'}")
            return

        options = ["--out", str(out), "--results", str(results), "--workers", str(workers)]
        options += ["--quick"] * quick + ["--train-bases"] * train_bases

        def launch(stage: "Stage", lock: int) -> None:
            arguments = ["reproduce-rrm", *options, "--stage", stage.name, "--here"]
            launch_process(states, stage.name, "edit_rrm_shapes.cli", arguments, threads, lock)

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stage's process ends too
        states.forget("table")  # it takes seconds, and more may be measured than when it was written
        refuse_outdated(stages, plan, states)
        run_graph(stages, states, launch, say=console.print)
    except (TrainingError, ShapesError) as error:
        raise failed(error, PROGRAM) from error


def _table(stages: Sequence["Stage"], states: "StageStates") -> Table:
    table = Table("state", "minutes", "CPU minutes", "estimated", "stage", "needs")
    for stage in stages:
        record = states.read(stage.name)
        state = "done" if record and record.done else "running" if states.is_running(stage.name) else "left"
        took = ("", "") if record is None else (f"{record.wall_s / 60:.1f}", f"{record.cpu_s / 60:.1f}")
        needs = ", ".join(stage.needs) if len(stage.needs) < 3 else f"{len(stage.needs)} stages"
        table.add_row(state, *took, f"{stage.minutes:.0f}", stage.name, needs)
    return table
