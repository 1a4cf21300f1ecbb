"""The commands around the shapes editor: pre-training it, and looking at what an editor does."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from edit_grpo.pretraining.run import StepReport

EXIT_BAD_INPUT = 2
LINE_EVERY = 50
console = Console()


def add_shapes_commands(app: typer.Typer) -> None:
    """Adds `pretrain-shapes` and `sample`."""
    app.command()(pretrain_shapes)
    app.command()(sample)


def pretrain_shapes(
    data: Annotated[
        list[Path], typer.Option(help="Folder of `edit-rrm-train shapes generate`; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="Run folder; a run found there goes on.")],
    held_out: Annotated[
        Path | None, typer.Option(help="Folder of edits for the grids; the first of --data if absent.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON of PretrainSettings.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps of the whole run.")] = None,
    stop_after: Annotated[int | None, typer.Option(min=1, help="End this piece after that step.")] = None,
    time_limit: Annotated[float | None, typer.Option(min=1, help="End this piece after seconds.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, or cuda for a GPU.")] = "cpu",
) -> None:
    """Pre-train the shapes editor by flow matching. Safe to kill: the same command goes on.

    OUT gets log.jsonl, tensorboard/, grids/*.png, training.pt and, at the end of a piece, checkpoint/.

    Example: edit-grpo pretrain-shapes --data runs/edits --out runs/shapes-editor
    """
    import torch
    from pydantic import ValidationError

    from edit_grpo.pretraining.errors import PretrainError
    from edit_grpo.pretraining.run import Pretraining, pictures_of
    from edit_grpo.pretraining.settings import PretrainSettings
    from edit_grpo.pretraining.shapes_edits import read_edits

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high")  # TF32 where there is a GPU; on a CPU all bits stay
    try:
        written = config.read_text(encoding="utf-8") if config else "{}"
        settings = PretrainSettings.model_validate_json(written)
        if steps is not None:
            settings = settings.model_copy(update={"steps": steps})
        edits = read_edits(data)
        shown = read_edits([held_out]) if held_out else edits
        with _progress() as progress:
            bar = progress.add_task("reading pictures", total=len(set(pictures_of(edits))))
            run = Pretraining(edits, shown, out, settings, device, lambda: progress.advance(bar))
    except (ValidationError, PretrainError) as error:
        console.print(f"edit-grpo: {error}", markup=False, style="red")
        raise typer.Exit(EXIT_BAD_INPUT) from error
    millions = sum(each.numel() for each in run.policy.trainable()) / 1e6
    console.print(f"{len(edits)} edits, {millions:.2f} M parameters in the transformer, from step {run.step}")
    with _progress() as progress:
        bar = progress.add_task("pre-training", total=settings.steps, completed=run.step)
        begun_s: list[float] = []

        def on_step(report: "StepReport") -> bool:
            text = f"loss {report.loss:.4f} {report.step_s:.2f} s/step"
            progress.update(bar, completed=report.step + 1, description=text)
            if not console.is_terminal and (report.step + 1) % LINE_EVERY == 0:
                left_min = (settings.steps - report.step - 1) * report.elapsed_s / (report.step + 1) / 60
                console.print(
                    f"step {report.step + 1}/{settings.steps} {text}, about {left_min:.0f} min left"
                )
            begun_s.append(report.step_s)
            return time_limit is None or sum(begun_s) < time_limit

        run.run(stop_after, on_step)
    console.print(f"after step {run.step} of {settings.steps}: {out / 'checkpoint'}")


def sample(
    checkpoint: Annotated[str, typer.Option(help="Pipeline folder, or shapes-editor for the bundled one.")],
    data: Annotated[Path, typer.Option(help="Folder of `edit-rrm-train shapes generate`.")],
    out: Annotated[Path, typer.Option(help="Folder for <edit id>.png and contact-sheet.png.")],
    adapter: Annotated[Path | None, typer.Option(help="Folder of a trained adapter.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Only the first edits.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="ODE steps.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    sheet: Annotated[int, typer.Option(min=1, help="Edits on the contact sheet.")] = 24,
    device: Annotated[str, typer.Option(help="Where to run.")] = "cpu",
) -> None:
    """Let an editor carry out the edits of a folder.

    Example: edit-grpo sample --checkpoint runs/shapes-editor/checkpoint --data runs/test --out runs/out
    """
    from edit_grpo.policies import PolicyError, PolicySettings, load_policy
    from edit_grpo.pretraining.errors import PretrainError
    from edit_grpo.pretraining.sampling import SHEET, write_samples
    from edit_grpo.pretraining.shapes_edits import read_edits

    try:
        policy = load_policy(checkpoint, PolicySettings(adapter=adapter, keep_reference=False), device)
        edits = read_edits([data])[:count]
        with _progress() as progress:
            bar = progress.add_task("edits", total=len(edits))
            for _ in write_samples(policy, edits, out, steps, seed, sheet):
                progress.advance(bar)
    except (PolicyError, PretrainError) as error:
        console.print(f"edit-grpo: {error}", markup=False, style="red")
        raise typer.Exit(EXIT_BAD_INPUT) from error
    console.print(f"{len(edits)} edited pictures and {SHEET} in {out}")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
