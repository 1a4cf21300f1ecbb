"""The process of one part of `benchmarks/gpu_training.py`: `python -m rig.measure_part NAME …`.

It writes what it measured as JSON. EXIT_OUT_OF_MEMORY is its exit code when a GPU's memory was not enough.
"""

import json
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Annotated

import torch
import typer

from rig.measured import Scale

EXIT_OUT_OF_MEMORY = 75
PARTS = {
    "sft": ("rrm_parts", "sft"), "gcpo": ("rrm_parts", "gcpo"), "kontext": ("editor_parts", "kontext"),
    "qwen-image-edit": ("editor_parts", "qwen_image_edit"),
}  # fmt: skip
"""Modules and functions by name; only what is measured is imported."""


def main(
    name: Annotated[str, typer.Argument(help="sft, gcpo, kontext or qwen-image-edit.")],
    work: Annotated[Path, typer.Option(help="Empty folder for what it needs.")],
    result: Annotated[Path, typer.Option(help="File for what it measured.")],
    steps: Annotated[int, typer.Option(min=1)],
    share: Annotated[float, typer.Option(help="Share of an editor's layers.")] = 1.0,
    tiny: Annotated[bool, typer.Option()] = False,
) -> None:
    """Measures one part in this process."""
    torch.manual_seed(0)
    module, function = PARTS[name]
    measure = getattr(import_module(f"rig.{module}"), function)
    try:
        measured = measure(Scale(tiny, steps, share), work)
    except torch.OutOfMemoryError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_OUT_OF_MEMORY) from error
    result.write_text(json.dumps(asdict(measured)), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
