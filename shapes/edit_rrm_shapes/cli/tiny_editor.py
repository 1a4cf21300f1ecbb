"""`edit-rrm-shapes tiny-editor`: pre-trains the shapes editor."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edit_rrm_shapes.cli import PROGRAM
from edit_rrm_training.cli.terminal import failed, writable_folder

if TYPE_CHECKING:
    from edit_rrm_shapes.tiny_editor.stepping import StepReport

EXIT_BAD_INPUT = 2
LINE_EVERY = 50
console = Console()


def tiny_editor(
    data: Annotated[list[Path], typer.Option(help="Folder of `edit-rrm-shapes generate`; may be repeated.")],
    out: Annotated[
        Path, typer.Option(help="Run folder; a run found there goes on.", callback=writable_folder)
    ],
    held_out: Annotated[
        Path | None, typer.Option(help="Folder of edits for the grids; the first of --data if absent.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="YAML, JSON or TOML of PretrainSettings.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps of flow matching.")] = None,
    vae_steps: Annotated[int | None, typer.Option(min=0, help="Those of the autoencoder before it.")] = None,
    stop_after: Annotated[
        int | None, typer.Option(min=1, help="End this piece after that step of flow matching.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(min=1, help="End this piece after seconds.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, or cuda for a GPU.")] = "cpu",
) -> None:
    """Pre-train the shapes editor: its autoencoder, then flow matching.

    Safe to kill: the same command goes on. OUT gets vae.jsonl, flow.jsonl, tensorboard/, grids/*.png, a state
    of each stage and, at the end of a piece of flow matching, checkpoint/.

    Example: edit-rrm-shapes tiny-editor --data runs/edits --out runs/shapes-editor
    """
    import torch

    from edit_rrm.errors import SettingsFileError
    from edit_rrm.settings_files import load_settings
    from edit_rrm_shapes.errors import ShapesError
    from edit_rrm_shapes.tiny_editor.run import Pretraining, pictures_of
    from edit_rrm_shapes.tiny_editor.settings import PretrainSettings
    from edit_rrm_shapes.tiny_editor.shapes_edits import read_edits

    torch.set_num_threads(threads)
    if device != "cpu":
        torch.set_float32_matmul_precision("high")  # TF32
    try:
        given = {"flow.steps": steps, "vae.steps": vae_steps}
        overrides = {name: value for name, value in given.items() if value is not None}
        settings = load_settings(PretrainSettings, config, overrides)
        edits = read_edits(data)
        shown = read_edits([held_out]) if held_out else edits
        with _progress() as progress:
            bar = progress.add_task("reading pictures", total=len(set(pictures_of(edits))))
            run = Pretraining(edits, shown, out, settings, device, lambda: progress.advance(bar))
    except (SettingsFileError, ShapesError) as error:
        raise failed(error, PROGRAM, status=EXIT_BAD_INPUT) from error
    millions = sum(each.numel() for each in run.policy.trainable()) / 1e6
    console.print(
        f"{len(edits)} edits, {millions:.2f} M parameters in the transformer; "
        f"the autoencoder is at step {run.vae.step}, flow matching at {run.flow.step}"
    )
    with _progress() as progress:
        stages = {stage.name: stage for stage in (run.vae, run.flow)}
        bars = {
            name: progress.add_task(name, total=stage.settings.steps, completed=stage.step)
            for name, stage in stages.items()
        }
        begun = time.monotonic()

        def on_step(report: "StepReport") -> bool:
            done, total = report.step + 1, stages[report.stage].settings.steps
            text = f"{report.stage} loss {report.loss:.4f} {report.step_s:.2f} s/step"
            progress.update(bars[report.stage], completed=done, description=text)
            if not console.is_terminal and done % LINE_EVERY == 0:
                left_min = (total - done) * report.elapsed_s / done / 60
                console.print(f"step {done}/{total} {text}, about {left_min:.0f} min of it left")
            return time_limit is None or time.monotonic() - begun < time_limit

        run.run(stop_after, on_step)
    if run.vae.done:
        console.print(f"after step {run.flow.step} of {settings.flow.steps}: {out / 'checkpoint'}")
    else:
        console.print(f"after step {run.vae.step} of {settings.vae.steps} of the autoencoder")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
