"""`edit-rrm score`: the command line of a bulk job. The other bulk commands are in `analysis_commands`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from edit_rrm_client._options import RRM, Aggregator, GuardWords, Samples, SourceOfGuards, guards_of
from edit_rrm_client._settings import API_KEY_VARIABLE, DEFAULT_URL
from edit_rrm_client.bulk.asking import ScoreSettings
from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.inputs import open_input
from edit_rrm_client.bulk.job import Job, Work, run_job
from edit_rrm_client.bulk.layouts import Layout
from edit_rrm_client.bulk.local import run_here
from edit_rrm_client.bulk.outcome import Summary
from edit_rrm_client.bulk.progress import (
    beginning,
    ending,
    failure_lines,
    headline,
    scoring_bar,
    summary_table,
)
from edit_rrm_client.bulk.services import Services
from edit_rrm_client.errors import EditRRMClientError
from edit_rrm_client.tables import told

EXIT_SOME_FAILED = 1
EXIT_NOT_DONE = 2
EXIT_INTERRUPTED = 130


def score(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A .jsonl, .csv or .parquet file, or a folder; see below.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Results: .parquet or .jsonl.")],
    url: Annotated[
        list[str] | None,
        typer.Option(
            envvar="EDIT_RRM_URL", help=f"A service; repeat it for several. [default: {DEFAULT_URL}]"
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar=API_KEY_VARIABLE, show_envvar=True, help="Key, if the services want one."),
    ] = None,
    samples: Samples = None,
    aggregator: Aggregator = None,
    guards: GuardWords = None,
    source_of_guards: SourceOfGuards = 0,
    rrm: RRM = None,
    reasoning: Annotated[bool, typer.Option("--reasoning", help="Keep the traces' text.")] = False,
    embed_images: Annotated[
        bool, typer.Option("--embed-images", help="Put the image files into the results.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Score only the first rows.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=YOURS", help="Your name for a column, such as source=input_image."),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Of a CSV file, such as gb18030 or cp1252. Default: what its first bytes say, or UTF-8."
        ),
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option(help="INPUT is as a public benchmark's own scripts leave it, or as it is published."),
    ] = None,
    edits: Annotated[
        Path | None, typer.Option(help="The benchmark's instructions: of gedit and imgedit; see below.")
    ] = None,
    originals: Annotated[Path | None, typer.Option(help="The folder of imgedit's source images.")] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Calls at once (of each worker with --ray). Default: 8, and more while they hold fewer than "
            "64 edits a service.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds a call may take, and services may be away.")
    ] = 600.0,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again for the rows that failed.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget what was scored into this output.")
    ] = False,
    ray: Annotated[bool, typer.Option("--ray", help="Ask from the workers of a Ray cluster.")] = False,
    ray_address: Annotated[
        str | None, typer.Option(help="The cluster; default: the one around, or a local one.")
    ] = None,
    ray_workers: Annotated[int | None, typer.Option(min=1, help="Workers that ask. [default: 2]")] = None,
) -> None:
    """Score many edits. Run the same command again after a stop of any kind, and it goes on.

    A row is one edited image. Columns: `instruction`, `source`, `edited` (paths from the file's folder), and
    if you like `id`, `candidate`, `model` (the editor), `category`, `key`, and `source_2` to `source_4` where
    an edit has several sources:

        edit-rrm score edits.jsonl -o results.parquet

    A folder with `source/ID.png`, `edited/MODEL/ID.png` and `instructions.jsonl`, three services:

        edit-rrm score my-edits/ -o results.parquet --url http://a:8000 --url http://b:8000 --url http://c:8000

    Eight traces a candidate with their text; then the rows that failed once more:

        edit-rrm score edits.csv -o results.jsonl --samples 8 --reasoning

        edit-rrm score edits.csv -o results.jsonl --samples 8 --reasoning --retry-failed

    Your own column names; the same job from a Ray cluster:

        edit-rrm score hf.parquet -o results.parquet --column source=input_image --column edited=output_image

        edit-rrm score edits.jsonl -o results.parquet --ray --ray-address auto --ray-workers 8

    What GEdit-Bench's, ImgEdit-Bench's and EditReward's scripts leave, without a script of yours:

        edit-rrm score results/ -o gedit.parquet --layout gedit --edits GEdit-Bench/data

        edit-rrm score edited_images/ -o imgedit.parquet --layout imgedit --edits basic_edit.json \\
            --originals original_images

        edit-rrm score EditReward-Data.json -o pairs.parquet --layout editreward

    Beside the results lie `….journal.jsonl` (what is recorded; delete it when you are done),
    `….failures.jsonl` and `….summary.json`.

    Exit codes: 0 all rows scored, 1 some failed, 2 wrong usage or no service (run it again), 130 interrupted.
    """
    with reported():
        if not ray and (ray_address is not None or ray_workers is not None):
            raise InputError("--ray-address and --ray-workers need --ray")
        settings = ScoreSettings(
            samples=samples,
            model=rrm,
            aggregator=aggregator,
            guards=guards_of(guards),
            source_of_guards=source_of_guards,
            reasoning=reasoning,
        )
        services = Services(
            urls=tuple(url or [DEFAULT_URL]), api_key=api_key, timeout_s=timeout, concurrency=concurrency
        )
        job = Job(
            source=open_input(
                source,
                out.parent,
                _renamed(column or []),
                encoding,
                layout=layout,
                edits=edits,
                originals=originals,
            ),
            out=out,
            settings=settings,
            limit=limit,
            embed_images=embed_images,
            restart=restart,
            retry_failed=retry_failed,
        )
        console = Console(stderr=True)

        def run(work: Work) -> bool:
            typer.echo(beginning(work.rows, work.recorded), err=True)
            with scoring_bar(work.rows, work.recorded, console) as bar:
                if ray:
                    from edit_rrm_client.bulk.cluster import run_on_ray

                    finished = run_on_ray(
                        work,
                        services=services,
                        settings=settings,
                        spool=out.with_name(out.name + ".pending"),
                        address=ray_address,
                        workers=ray_workers or 2,
                        on_kept=bar.advance,
                        on_stop=bar.draining,
                    )
                else:
                    finished = run_here(
                        work,
                        services=services,
                        settings=settings,
                        on_kept=bar.advance,
                        on_stop=bar.draining,
                        on_wait=lambda error: bar.waiting(f"{told(error)}; waiting up to {timeout:.0f} s"),
                    )
                if finished:
                    bar.end()
                return finished

        _end(job, run_job(job, run))


@contextmanager
def reported() -> Iterator[None]:
    """What ends a bulk command early is one line on stderr and exit code 2; Ctrl-C is 130."""
    try:
        yield
    except (EditRRMClientError, OSError) as error:
        typer.echo(f"edit-rrm: {told(error)}", err=True)
        raise typer.Exit(EXIT_NOT_DONE) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(EXIT_INTERRUPTED) from error


def _end(job: Job, summary: Summary) -> NoReturn:
    typer.echo(headline(job, summary))
    Console().print(summary_table(summary))
    for line in failure_lines(job, summary):
        typer.echo(line, err=True)
    if not summary.complete:
        typer.echo("interrupted; the same command goes on from here", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    typer.echo(ending(job, summary), err=True)
    raise typer.Exit(EXIT_SOME_FAILED if summary.failed else 0)


def _renamed(options: list[str]) -> dict[str, str]:
    renamed = {}
    for option in options:
        name, equals, theirs = option.partition("=")
        if not (name and equals and theirs):
            raise InputError(f"--column: expected NAME=YOURS, got {option!r}")
        renamed[name] = theirs
    return renamed
