"""`edit-rrm report`: arguments in, a page and one line out."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edit_rrm_client.bulk.commands import reported
from edit_rrm_client.report.build import ReportSettings, write_report
from edit_rrm_client.report.thumbnails import ThumbnailSettings
from edit_rrm_client.report.titles import default_title


def report(
    results: Annotated[Path, typer.Argument(help="Results of `edit-rrm score`: .parquet or .jsonl.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The page; default: the results' name with .html."),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(help="Heading of the page; default: what was scored, of the summary beside RESULTS."),
    ] = None,
    gallery_rows: Annotated[
        int, typer.Option(min=0, help="Rows shown one by one, from the first of the file on.")
    ] = 5000,
    thumbnail_side: Annotated[int, typer.Option(min=16, max=2048, help="Longest side in pixels.")] = 192,
    thumbnail_quality: Annotated[int, typer.Option(min=1, max=100, help="WebP quality.")] = 70,
    max_image_bytes: Annotated[
        int, typer.Option(min=0, help="What all thumbnails together may add to the page.")
    ] = 64 * 2**20,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Whether the page holds images.")
    ] = True,
) -> None:
    """Make one HTML page of a results file: tables, plots, and every edit with its verdicts.

    The page is a single file that needs no network and may be mailed or archived:

        edit-rrm report results.parquet -o report.html

    A smaller one, without images, for a ticket:

        edit-rrm report results.parquet -o report.html --no-images --title "Nightly, 24 November"
    """
    page = out or results.with_suffix(".html")
    thumbnails = ThumbnailSettings(thumbnail_side, thumbnail_quality, max_image_bytes if images else None)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows read"), TimeElapsedColumn())
    with reported():
        settings = ReportSettings(title or default_title(results), gallery_rows, thumbnails)
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("rows", total=None)
            made = write_report(results, page, settings, lambda rows: progress.update(task, completed=rows))
    for note in made.notes:
        typer.echo(note, err=True)
    typer.echo(f"{page}: {made.rows:,} rows, {made.images:,} images, {made.page_bytes / 2**20:.1f} MiB")
