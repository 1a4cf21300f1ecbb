"""The tiny RRM's commands: train it from nothing, train the bases of the table, measure it on the world."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from edit_rrm.errors import EditRRMError
from edit_rrm_shapes.cli import PROGRAM
from edit_rrm_training.cli.evaluate import (
    Checkpoint,
    Out,
    Samples,
    ScoreOnly,
    Server,
    Temperature,
    chosen_checkpoint,
    judge_of,
    show_evaluation,
    warm_drawing,
)
from edit_rrm_training.cli.terminal import (
    AsJson,
    console,
    failed,
    known_checkpoint,
    notes,
    progress_bars,
    writable_folder,
)
from edit_rrm_training.errors import TrainingError


def tiny_rrm(
    out: Annotated[
        Path, typer.Option(help="Run directory; a run found there is continued.", callback=writable_folder)
    ] = Path("runs/tiny"),
    look_steps: Annotated[int | None, typer.Option(help="Steps of naming what image tokens show.")] = None,
    read_steps: Annotated[int | None, typer.Option(help="Steps of verifying without images.")] = None,
    see_steps: Annotated[int | None, typer.Option(help="Steps of describing one picture.")] = None,
    base_steps: Annotated[int | None, typer.Option(help="Steps of describing and comparing two.")] = None,
    sft_steps: Annotated[int | None, typer.Option(help="Steps of decomposing and verifying.")] = None,
    polish_steps: Annotated[int | None, typer.Option(help="The same, more to decompose.")] = None,
    find_steps: Annotated[int | None, typer.Option(help="Finding the named thing, to the end.")] = None,
    bundle_to: Annotated[
        Path | None,
        typer.Option(
            help="Also write the finished checkpoint, with its card, here.", callback=writable_folder
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw the training data.")] = 1,
    device: Annotated[str, typer.Option(help="Where to train: cpu, or cuda for a GPU.")] = "cpu",
    continue_from: Annotated[
        Path | None,
        typer.Option(
            help="Run the last stage alone, on the weights of this checkpoint (or its registered name).",
            callback=known_checkpoint,
        ),
    ] = None,
    fast: Annotated[
        bool,
        typer.Option(help="Compiled layers, and bfloat16 over float32 weights where the CPU has it."),
    ] = False,
) -> None:
    """Train edit-rrm-tiny from nothing: tokenizer, eyes, reading, descriptions, SFT on decompose and verify.

    All but the last stage take about an hour and a half on two CPU cores. The last, find, is for a GPU:
    five minutes on an H100 (--device cuda --workers 11), but five hours on two cores; --find-steps 0 leaves
    it out. Safe to kill at any moment: the same command continues. Logs: OUT/*.jsonl, OUT/tensorboard.
    """
    from dataclasses import replace

    from edit_rrm.checkpoint import read_card
    from edit_rrm_shapes.tiny_rrm.bundle import bundle
    from edit_rrm_shapes.tiny_rrm.recipe import (
        BASE,
        FIND,
        LOOK,
        POLISH,
        READ,
        SEE,
        SFT,
        continue_with,
        train,
    )
    from edit_rrm_shapes.tiny_rrm.training import Stage, StepReport

    wanted = (
        (LOOK, look_steps), (READ, read_steps), (SEE, see_steps), (BASE, base_steps), (SFT, sft_steps),
        (POLISH, polish_steps), (FIND, find_steps),
    )  # fmt: skip
    stages = [replace(stage, steps=stage.steps if steps is None else steps) for stage, steps in wanted]
    if continue_from is not None:
        if any(steps is not None for _, steps in wanted[:-1]):
            raise typer.BadParameter("--continue-from runs the last stage alone: only --find-steps counts")
        stages = stages[-1:]
    plan = ", ".join(f"{stage.name} {stage.steps} steps" for stage in stages)
    last = next((stage.name for stage in reversed(stages[1:] or stages) if stage.steps), None)
    if last is None:
        raise typer.BadParameter("a stage after look needs a step: there would be no checkpoint")
    console.print(f"training in {out}: {plan} (what is done already is not repeated)")
    with progress_bars() as progress:
        bars = {stage.name: progress.add_task(stage.name, total=stage.steps) for stage in stages}

        def on_step(stage: Stage, report: StepReport) -> None:
            text = f"{stage.name} {report.task} loss {report.loss:.3f} {report.samples_per_s:.0f}/s"
            progress.update(bars[stage.name], completed=report.step + 1, description=text)
            if not console.is_terminal and report.step % 50 == 0:
                console.print(f"{text} step {report.step} {report.elapsed_s:.0f} s")

        if continue_from is not None:
            seconds = continue_with(
                continue_from, out, *stages, fast=fast, device=device, workers=workers, on_step=on_step
            )
        else:
            seconds = train(out, *stages, fast=fast, device=device, workers=workers, on_step=on_step)
    console.print(
        f"done: {', '.join(f'{name} {s / 60:.0f} min' for name, s in seconds.items())}; {out / last}"
    )
    if bundle_to is not None:
        training: dict[str, Any] = {
            "command": "edit-rrm-shapes tiny-rrm "
            + " ".join(f"--{s.name}-steps {s.steps}" for s in stages)
            + " --fast" * fast
            + f" --device {device}" * (device != "cpu"),
            "seconds": {name: round(value) for name, value in seconds.items()},
        }
        if continue_from is not None:
            training["command"] += f" --continue-from {continue_from.name}"
            training["continues"] = read_card(continue_from).training
        bundle(out, last, bundle_to, "edit-rrm-tiny", training)
        console.print(f"bundled: {bundle_to}")


def tiny_base(
    out: Annotated[
        Path, typer.Option(help="Run directory; a run found there is continued.", callback=writable_folder)
    ],
    size: Annotated[
        Literal["s", "m"], typer.Option(help="m: 4 million parameters, as bundled; s: 1.5 million.")
    ] = "m",
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw the training data.")] = 1,
    fast: Annotated[
        bool,
        typer.Option(help="Compiled layers, and bfloat16 over float32 weights where the CPU has it."),
    ] = False,
) -> None:
    """Train the description-only base that every tiny RRM of one size starts from.

    The stages look, read, see and base of docs/shapes.md; leaves a checkpoint in OUT/base.

        edit-rrm-shapes tiny-base --size s --out runs/base-s
    """
    from edit_rrm_shapes.tiny_rrm.base import train_base
    from edit_rrm_shapes.tiny_rrm.training import Stage, StepReport

    def on_step(stage: Stage, report: StepReport) -> None:
        if (report.step + 1) % 50 == 0:
            console.print(f"{stage.name} {report.step + 1} of {stage.steps}: loss {report.loss:.3f}")

    seconds = train_base(out, size, fast=fast, workers=workers, on_step=on_step)
    console.print(f"{out / 'base'}: {sum(seconds.values()) / 60:.0f} min")


def evaluate(
    checkpoint: Checkpoint = None,
    server: Server = None,
    seed: Annotated[int, typer.Option(help="World seed; training never uses 1000 and above.")] = 2000,
    count: Annotated[int, typer.Option(min=1, help="How many held-out edits.")] = 1000,
    candidates: Annotated[int, typer.Option(min=2, help="Candidates per edit.")] = 4,
    score_only: ScoreOnly = False,
    samples: Samples = 1,
    temperature: Temperature = 0.7,
    out: Out = None,
    record: Annotated[
        bool, typer.Option(help="Write the results into the checkpoint's rrm.json and model card.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a checkpoint on held-out edits of the world, by free generation through vLLM, or a service.

    As `edit-rrm-train evaluate` measures it on any edits, and how decompositions are worded besides.

        edit-rrm-shapes evaluate --checkpoint server/edit_rrm_server/models/edit-rrm-tiny
    """
    from edit_rrm_shapes.world.dataset import SAME_ZONE
    from edit_rrm_shapes.world.evaluation import evaluate_on_world

    try:
        directory = chosen_checkpoint(checkpoint, server, score_only=score_only, trained=True, record=record)
        judge = judge_of(directory, server, score_only)
        with progress_bars() as progress:
            bar = progress.add_task("edits", total=count)
            evaluation, judged = evaluate_on_world(
                judge, seed=seed, count=count, candidate_count=candidates,
                warm=warm_drawing(samples, temperature),
                progress=lambda done: progress.update(bar, completed=done),
            )  # fmt: skip
    except (TrainingError, EditRRMError, OSError) as error:
        raise failed(error, PROGRAM) from error
    show_evaluation(evaluation, judged, judge, SAME_ZONE, out, as_json)
    if record and directory is not None:
        from edit_rrm_shapes.tiny_rrm.bundle import record_results

        command = f"edit-rrm-shapes evaluate --seed {seed} --count {count}"
        notes.print(f"results are in {record_results(directory, evaluation, command)}")
