"""How commands speak to the terminal: results on stdout, as tables or `--json`; what is on the way on stderr;
and `--out` checked before the work."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edit_rrm.checkpoint import checkpoint_directory, no_such_checkpoint
from edit_rrm.errors import OutputError
from edit_rrm.outputs import check_output_file, check_output_folder

console = Console()
notes = Console(stderr=True)
"""For what is no result: it does not get into what a script reads."""

AsJson = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of tables.")]


def print_json(numbers: Any) -> None:
    """The numbers of a table, for a script."""
    typer.echo(json.dumps(numbers, indent=2, ensure_ascii=False))


def progress_bars() -> Progress:
    """Bars with count, time taken and time left; use as a context manager."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), console=notes,
    )  # fmt: skip


def failed(error: object, program: str = "edit-rrm-train", *, status: int = 1) -> typer.Exit:
    """Tells an error as every command tells one, and ends with `status` where it is raised."""
    typer.echo(f"{program}: {error}", err=True)
    return typer.Exit(status)


def known_checkpoint(named: Path | None) -> Path | None:
    """Callback of an option that names a checkpoint: its directory, by path, run or registered name."""
    if named is None:
        return None
    directory = checkpoint_directory(named)
    if not directory.is_dir():
        raise typer.BadParameter(no_such_checkpoint(named))
    return directory


def writable_file(out: Path | None) -> Path | None:
    """Callback of an option that names a file to write."""
    try:
        if out is not None:
            check_output_file(out)
    except OutputError as error:
        raise typer.BadParameter(str(error)) from error
    return out


def writable_folder(out: Path | None) -> Path | None:
    """Callback of an option that names a folder to write to."""
    try:
        if out is not None:
            check_output_folder(out)
    except OutputError as error:
        raise typer.BadParameter(str(error)) from error
    return out
