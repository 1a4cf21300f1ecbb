"""`edit-rrm-shapes reproduce-editor`: the paper's claim in miniature, from edits to docs/results/edit/."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from edit_rrm_shapes.cli import PROGRAM
from edit_rrm_training.cli.terminal import failed, writable_folder

if TYPE_CHECKING:
    from edit_rrm_shapes.reproduce_editor.plan import Stage
    from edit_rrm_shapes.staged.state import StageStates

console = Console()


def reproduce_editor(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run directory; what is done there is not repeated.",
            show_default="runs/reproduce-edit",
            callback=writable_folder,
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            help="Where results.json, table.md and pictures go.",
            show_default="docs/results/edit",
            callback=writable_folder,
        ),
    ] = None,
    config: Annotated[Path, typer.Option(help="Settings of the training.")] = Path(
        "shapes/configs/tiny_editor.yaml"
    ),
    stage: Annotated[list[str] | None, typer.Option(help="Only this stage; repeat it for several.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the trainer.")] = 1,
    editor: Annotated[
        str | None, typer.Option(help="Pipeline folder to start from, not the bundled one.")
    ] = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=MODEL", help="gcpo or sft: a checkpoint's directory, or its service's URL."
        ),
    ] = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published", help="Write the table anew of RESULTS/results.json; nothing else is done."
        ),
    ] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Show the stages and how they stand.")] = False,
    quick: Annotated[
        bool,
        typer.Option(
            help="A few steps of everything, all in runs/reproduce-edit-quick; its numbers mean nothing."
        ),
    ] = False,
    here: Annotated[bool, typer.Option(hidden=True, help="Run the stage in this very process.")] = False,
) -> None:
    """The paper's claim in miniature: the shapes editor, trained against the reward after GCPO and after SFT.

    Starts the services it needs. Safe to kill; the same command goes on. A stage has a process and a log
    (OUT/logs) of its own.

        edit-rrm-shapes reproduce-editor --list
        edit-rrm-shapes reproduce-editor
        edit-rrm-shapes reproduce-editor --stage table    # of what is measured so far
        edit-rrm-shapes reproduce-editor --published      # the table, of what somebody else has measured
    """
    from dataclasses import replace

    from edit_grpo.errors import EditTrainingError
    from edit_rrm_client import EditRRMClientError
    from edit_rrm_shapes.errors import ShapesError
    from edit_rrm_shapes.reproduce_editor.inputs import inputs_of
    from edit_rrm_shapes.reproduce_editor.plan import FULL, QUICK, graph, settings_of
    from edit_rrm_shapes.reproduce_editor.stages import Surroundings, check, run_stage
    from edit_rrm_shapes.staged.running import launch_process, run_graph
    from edit_rrm_shapes.staged.state import StageStates

    out = out or Path("runs/reproduce-edit-quick" if quick else "runs/reproduce-edit")
    results = results or (out / "results" if quick else Path("docs/results/edit"))
    plan = QUICK if quick else FULL
    plan = plan if editor is None else replace(plan, editor=editor)
    given = dict(one.partition("=")[::2] for one in reward or ())
    if unknown := [name for name in given if name not in plan.rewards]:
        raise typer.BadParameter(f"no reward {', '.join(unknown)}; there are {', '.join(plan.rewards)}")
    plan = replace(plan, rewards={name: given.get(name, model) for name, model in plan.rewards.items()})
    states = StageStates(out)
    known = {one.name: one for one in graph(plan)}
    if unknown := [name for name in stage or () if name not in known]:
        raise typer.BadParameter(f"no stage {', '.join(unknown)}; the stages are {', '.join(known)}")
    stages = [one for one in known.values() if not stage or one.name in stage]
    if only_list:
        console.print(_table(stages, states))
        return
    if published:
        from edit_rrm_shapes.reproduce_editor.reporting import write_table

        try:
            write_table(plan, results)
        except (FileNotFoundError, ValueError) as error:
            raise typer.BadParameter(f"no results to make the table of: {error}") from error
        console.print(f"{results / 'table.md'}")
        return
    around = Surroundings(out, results, config, say=lambda text: print(text, flush=True))
    # So that the stage's process ends with this one, and the service with the stage.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if here:
            inputs = inputs_of(plan, config)
            for one in stages:
                with states.timed(one.name, settings_of(one, plan, inputs)):
                    run_stage(one, plan, around)
            return
        if [one.kind for one in stages] == ["table"]:  # of what is measured so far; at any time, and again
            run_stage(stages[0], plan, around)
            console.print(f"{results / 'table.md'}")
            return
        options = ["--out", str(out), "--results", str(results), "--config", str(config)]
        options += ["--quick"] if quick else []
        options += [] if editor is None else ["--editor", editor]
        options += [word for one in reward or () for word in ("--reward", one)]

        def launch(one: "Stage", lock: int) -> None:
            arguments = ["reproduce-editor", *options, "--stage", one.name, "--here"]
            launch_process(states, one.name, "edit_rrm_shapes.cli", arguments, threads, lock)

        check(plan)
        inputs = inputs_of(plan, config)
        states.forget("table")  # it takes seconds, and more may be measured than when it was written
        for one in stages:
            record = states.read(one.name)
            if record is not None:
                states.check_settings(record, settings_of(one, plan, inputs))
        run_graph(stages, states, launch, say=console.print)
    except (EditTrainingError, EditRRMClientError, ShapesError) as error:
        raise failed(error, PROGRAM) from error


def _table(stages: "list[Stage]", states: "StageStates") -> Table:
    table = Table("state", "minutes", "estimated", "stage", "needs")
    for stage in stages:
        record = states.read(stage.name)
        state = "done" if record and record.done else "running" if states.is_running(stage.name) else "left"
        took = "" if record is None else f"{record.wall_s / 60:.1f}"
        needs = ", ".join(stage.needs) if len(stage.needs) < 3 else f"{len(stage.needs)} stages"
        table.add_row(state, took, f"{stage.minutes:.0f}", stage.name, needs)
    return table
