"""`edit-rrm-train`: the shapes world, the tiny model's recipe, and evaluation."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edit_rrm_training.cli_train import add_training_commands

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Produce and measure the Edit-RRM. Start with 'shapes show' to see the world it is taught on.",
)
shapes_app = typer.Typer(
    no_args_is_help=True, help="The procedural world of shape edits whose truth is known."
)
app.add_typer(shapes_app, name="shapes")
add_training_commands(app)
console = Console()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), console=console,
    )  # fmt: skip


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
    from edit_rrm_training.shapes.dataset import write_dataset

    with _progress() as progress:
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
    from edit_rrm_training.shapes.show import contact_sheet

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
    polish_steps: Annotated[int | None, typer.Option(help="The same, more to decompose, to the end.")] = None,
    bundle_to: Annotated[
        Path | None, typer.Option(help="Also write the finished checkpoint, with its card, here.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw the training data.")] = 1,
) -> None:
    """Train edit-rrm-tiny from nothing: tokenizer, eyes, reading, descriptions, SFT on decompose and verify.

    Takes about an hour and a half on two CPU cores. Safe to kill at any moment: the same command continues.
    Logs go to OUT/*.jsonl and OUT/tensorboard.
    """
    from dataclasses import replace

    from edit_rrm_training.tiny.bundle import bundle
    from edit_rrm_training.tiny.recipe import BASE, LOOK, POLISH, READ, SEE, SFT, train
    from edit_rrm_training.tiny.training import Stage, StepReport

    wanted = (
        (LOOK, look_steps), (READ, read_steps), (SEE, see_steps), (BASE, base_steps), (SFT, sft_steps),
        (POLISH, polish_steps),
    )  # fmt: skip
    stages = [replace(stage, steps=stage.steps if steps is None else steps) for stage, steps in wanted]
    plan = ", ".join(f"{stage.name} {stage.steps} steps" for stage in stages)
    console.print(f"training in {out}: {plan} (what is done already is not repeated)")
    with _progress() as progress:
        bars = {stage.name: progress.add_task(stage.name, total=stage.steps) for stage in stages}

        def on_step(stage: Stage, report: StepReport) -> None:
            text = f"{stage.name} {report.task} loss {report.loss:.3f} {report.samples_per_s:.0f}/s"
            progress.update(bars[stage.name], completed=report.step + 1, description=text)
            if not console.is_terminal and report.step % 50 == 0:
                console.print(f"{text} step {report.step} {report.elapsed_s:.0f} s")

        seconds = train(out, *stages, workers=workers, on_step=on_step)
    console.print(
        f"done: {', '.join(f'{name} {s / 60:.0f} min' for name, s in seconds.items())}; {out / 'polish'}"
    )
    if bundle_to is not None:
        training = {
            "command": "edit-rrm-train tiny " + " ".join(f"--{s.name}-steps {s.steps}" for s in stages),
            "seconds": {name: round(value) for name, value in seconds.items()},
        }
        bundle(out, "polish", bundle_to, "edit-rrm-tiny", training)
        console.print(f"bundled: {bundle_to}")


@app.command()
def evaluate(
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint directory with rrm.json.", exists=True)],
    seed: Annotated[int, typer.Option(help="World seed; training never uses 1000 and above.")] = 2000,
    count: Annotated[int, typer.Option(min=1, help="How many held-out edits.")] = 1000,
    candidates: Annotated[int, typer.Option(min=2, help="Candidates per edit.")] = 4,
    out: Annotated[
        Path | None, typer.Option(help="Directory for evaluation.json, .md and traces.jsonl.")
    ] = None,
    record: Annotated[
        bool, typer.Option(help="Write the results into the checkpoint's rrm.json and model card.")
    ] = False,
) -> None:
    """Measure a checkpoint on held-out shape edits by free generation through vLLM.

    Prints traces that parse, verdict accuracy by category, pairwise accuracy against gold utility and the
    quality of decompositions, each with its 95 % interval and sample size.
    """
    from edit_rrm.checkpoint import read_card
    from edit_rrm_training.evaluation.evaluate import evaluate as run
    from edit_rrm_training.evaluation.generation import OfflineEngine

    card = read_card(checkpoint)
    if card.profile != "trained":
        raise typer.BadParameter(f"{checkpoint} has no rrm.json of a trained checkpoint")
    console.print("loading vLLM (half a minute) …")
    engine = OfflineEngine(checkpoint)
    with _progress() as progress:
        bar = progress.add_task("edits", total=count)
        evaluation, judged = run(
            engine, card, seed=seed, count=count, candidate_count=candidates,
            progress=lambda done: progress.update(bar, completed=done),
        )  # fmt: skip
    console.print(Markdown(evaluation.markdown()))
    if record:
        from edit_rrm_training.tiny.bundle import record_results

        record_results(checkpoint, evaluation)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "evaluation.json").write_text(json.dumps(evaluation.as_dict(), indent=2) + "\n")
        (out / "evaluation.md").write_text(evaluation.markdown() + "\n")
        with (out / "traces.jsonl").open("w", encoding="utf-8") as traces:
            for item in judged:
                traces.write(json.dumps({
                    "id": item.edit.id, "instruction": item.edit.request.instruction,
                    "decomposition": item.decomposition, "traces": item.texts,
                }) + "\n")  # fmt: skip
        console.print(f"written to {out}")


if __name__ == "__main__":
    app()
