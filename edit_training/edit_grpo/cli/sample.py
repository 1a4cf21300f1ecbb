"""`edit-grpo sample`: an editor, trained or plain, carries out an edit set."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edit_rrm.errors import OutputError
from edit_rrm.outputs import check_output_folder

EXIT_BAD_INPUT = 2
EDITS = "edits.jsonl"
console = Console()


def _writable(out: Path) -> Path:
    try:
        check_output_folder(out)
    except OutputError as error:
        raise typer.BadParameter(str(error)) from error
    return out


def sample(
    checkpoint: Annotated[str, typer.Option(help="A diffusers pipeline's folder, or a registered editor.")],
    edits: Annotated[Path, typer.Option(help=f"JSONL file of edits, or a folder with {EDITS}.", exists=True)],
    out: Annotated[
        Path, typer.Option(help="Folder for EDIT-ID.png and contact-sheet.png.", callback=_writable)
    ],
    adapter: Annotated[Path | None, typer.Option(help="Folder of a trained adapter.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Only the first edits.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="ODE steps.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    sheet: Annotated[int, typer.Option(min=1, help="Edits on the contact sheet.")] = 24,
    batch: Annotated[int, typer.Option(min=1, help="Edits of one size that are sampled at once.")] = 24,
    device: Annotated[str, typer.Option(help="Where to run: cpu, or cuda for a GPU.")] = "cpu",
    dtype: Annotated[
        Literal["float32", "bfloat16"] | None, typer.Option(help="Default: float32 on a CPU, else bfloat16.")
    ] = None,
) -> None:
    """Let an editor carry out the edits of a set, and look at them.

    Example: edit-grpo sample --checkpoint runs/shapes-editor/final --edits runs/test --out runs/out
    """
    from edit_grpo.data.edits import read_edits
    from edit_grpo.errors import EditTrainingError
    from edit_grpo.policies.loading import load_policy
    from edit_grpo.policies.settings import PolicySettings
    from edit_grpo.run.samples import SHEET, write_samples

    chosen = dtype or ("float32" if device == "cpu" else "bfloat16")
    settings = PolicySettings(name=checkpoint, adapter=adapter, dtype=chosen, gradient_checkpointing=False)
    try:
        asked = read_edits([edits / EDITS if edits.is_dir() else edits])[:count]
        policy = load_policy(settings, device, keep_reference=False)
        with _progress() as progress:
            bar = progress.add_task("edits", total=len(asked))
            for _ in write_samples(policy, asked, out, steps, seed, sheet, batch=batch):
                progress.advance(bar)
    except EditTrainingError as error:
        typer.echo(f"edit-grpo: {error}", err=True)
        raise typer.Exit(EXIT_BAD_INPUT) from error
    console.print(f"{len(asked)} edited pictures and {SHEET} in {out}")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
