"""`edit-grpo export`: a trained editor for diffusers."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from edit_grpo.cli.sample import EXIT_BAD_INPUT, Adapter, Changes, Checkpoint, writable_folder
from edit_rrm.quiet_libraries import quieten_loading
from edit_rrm_client.tables import told

console = Console()


def export(
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(help="New folder to write.", callback=writable_folder)],
    adapter: Adapter = None,
    ema: Annotated[
        bool | None,
        typer.Option(
            help="The moving average (optimizer.ema), which a run saves for use where it keeps one, or the "
            "weights of the last update. Default: what the run saves for use."
        ),
    ] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(help="Type of what is written. Default: as trained."),
    ] = None,
    changes: Changes = None,
) -> None:
    """Write a trained editor as diffusers loads it, without this package.

    An adapter becomes pytorch_lora_weights.safetensors, which `pipeline.load_lora_weights(OUT)` reads; the
    base is not loaded for that. Its scale, alpha / rank, is in the weights. An editor that was trained whole
    becomes a pipeline's folder for `from_pretrained(OUT)`.

        edit-grpo export --checkpoint runs/kontext --out kontext-lora

        edit-grpo export --checkpoint runs/kontext/checkpoints/update-0000200 --out lora-200 --dtype bfloat16

    **Exit codes**: 0 written, 2 wrong input.
    """
    from edit_grpo.errors import EditTrainingError, SettingsError

    quieten_loading()
    try:
        import torch

        from edit_grpo.policies.loading import pipeline_class
        from edit_grpo.trained.exporting import export_editor
        from edit_grpo.trained.finding import LORA_FILE, find_editor

        found = find_editor(checkpoint, adapter, changes or (), dtype=dtype)
        if ema and not found.averaged:
            raise SettingsError(f"{checkpoint} keeps no moving average (optimizer.ema)")
        kind = export_editor(
            found, out, last=ema is False and found.averaged, dtype=getattr(torch, dtype) if dtype else None
        )
        base = pipeline_class(found.policy.name)
    except (EditTrainingError, OSError) as error:
        typer.echo(f"edit-grpo: {told(error)}", err=True)
        raise typer.Exit(EXIT_BAD_INPUT) from error
    if kind == "lora":
        console.print(f"{out / LORA_FILE}. In diffusers:", markup=False, soft_wrap=True)
        lines = [
            f"pipeline = {base}.from_pretrained({found.policy.name!r})",
            f"pipeline.load_lora_weights({str(out)!r})",
        ]
    else:
        console.print(f"{out}. In diffusers:", markup=False, soft_wrap=True)
        lines = [f"pipeline = {base}.from_pretrained({str(out)!r})"]
    for line in lines:
        console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
