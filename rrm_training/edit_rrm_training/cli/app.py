"""`edit-rrm-train`: the shapes world, the tiny model's recipe, and evaluation."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edit_rrm_shapes.cli.oracle import add_oracle_commands
from edit_rrm_shapes.cli.reproduce_rrm import reproduce
from edit_rrm_training.cli.evaluate import evaluate, evaluate_pairs
from edit_rrm_training.cli.pairs import pairs_app
from edit_rrm_training.cli.pipeline import pipeline_app
from edit_rrm_training.cli.terminal import console, progress_bars
from edit_rrm_training.cli.train import add_training_commands

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Produce and measure the Edit-RRM. Start with 'shapes show' to see the world it is taught on.",
)
shapes_app = typer.Typer(
    no_args_is_help=True, help="The procedural world of shape edits whose truth is known."
)
app.add_typer(shapes_app, name="shapes")
add_oracle_commands(shapes_app)
app.add_typer(pipeline_app, name="pipeline")
app.add_typer(pairs_app, name="pairs")
app.command()(evaluate)
app.command()(evaluate_pairs)
app.command()(reproduce)
add_training_commands(app)


@shapes_app.command("generate")
def shapes_generate(
    out: Annotated[Path, typer.Option(help="Directory to write images/, edits.jsonl and pairs.jsonl to.")],
    seed: Annotated[int, typer.Option(help="World seed; the same seed writes the same bytes.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many edits.")] = 100,
    candidates: Annotated[int, typer.Option(min=1, max=24, help="Candidates per edit.")] = 4,
) -> None:
    """Write edits with candidates, gold verdicts and preference pairs.

    Example: edit-rrm-train shapes generate --seed 7 --count 200 --out runs/shapes
    """
    from edit_rrm_shapes.world.dataset import write_dataset

    with progress_bars() as progress:
        bar = progress.add_task("edits", total=count)
        write_dataset(out, seed, count, candidates, lambda: progress.advance(bar))
    console.print(f"{count} edits with {candidates} candidates each in {out}")


@shapes_app.command("show")
def shapes_show(
    out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("shapes.png"),
    seed: Annotated[int, typer.Option(help="World seed.")] = 0,
    count: Annotated[int, typer.Option(min=1, max=200, help="How many edits, one row each.")] = 8,
    candidates: Annotated[int, typer.Option(min=1, max=8, help="Candidates per edit.")] = 4,
) -> None:
    """Draw a contact sheet: source, instruction, candidates with their gold verdicts, score and utility."""
    from edit_rrm_shapes.world.contact_sheet import contact_sheet

    contact_sheet(seed, count, candidates).save(out)
    console.print(f"contact sheet of {count} edits: {out}")


@app.command()
def tiny(
    out: Annotated[Path, typer.Option(help="Run directory; a run found there is continued.")] = Path(
        "runs/tiny"
    ),
    look_steps: Annotated[int | None, typer.Option(help="Steps of naming what image tokens show.")] = None,
    read_steps: Annotated[int | None, typer.Option(help="Steps of verifying without images.")] = None,
    see_steps: Annotated[int | None, typer.Option(help="Steps of describing one picture.")] = None,
    base_steps: Annotated[int | None, typer.Option(help="Steps of describing and comparing two.")] = None,
    sft_steps: Annotated[int | None, typer.Option(help="Steps of decomposing and verifying.")] = None,
    polish_steps: Annotated[int | None, typer.Option(help="The same, more to decompose.")] = None,
    find_steps: Annotated[int | None, typer.Option(help="Finding the named thing, to the end.")] = None,
    bundle_to: Annotated[
        Path | None, typer.Option(help="Also write the finished checkpoint, with its card, here.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw the training data.")] = 1,
    device: Annotated[str, typer.Option(help="Where to train: cpu, or cuda for a GPU.")] = "cpu",
    continue_from: Annotated[
        Path | None,
        typer.Option(help="Run the last stage alone, on the weights of this checkpoint.", exists=True),
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
        f"done: {', '.join(f'{name} {s / 60:.0f} min' for name, s in seconds.items())}; {out / FIND.name}"
    )
    if bundle_to is not None:
        training: dict[str, Any] = {
            "command": "edit-rrm-train tiny "
            + " ".join(f"--{s.name}-steps {s.steps}" for s in stages)
            + " --fast" * fast
            + f" --device {device}" * (device != "cpu"),
            "seconds": {name: round(value) for name, value in seconds.items()},
        }
        if continue_from is not None:
            training["command"] += f" --continue-from {continue_from.name}"
            training["continues"] = read_card(continue_from).training
        bundle(out, FIND.name, bundle_to, "edit-rrm-tiny", training)
        console.print(f"bundled: {bundle_to}")


if __name__ == "__main__":
    app()
