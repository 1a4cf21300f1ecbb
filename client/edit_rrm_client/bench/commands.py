"""`edit-rrm bench NAME PATH`: a public benchmark, from a local copy, beside the published numbers."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edit_rrm_client._client import RewardClient
from edit_rrm_client._settings import API_KEY_VARIABLE, DEFAULT_URL
from edit_rrm_client.bench import compass, editscore, genai, mmrb2, tiger
from edit_rrm_client.bench.accuracy import Judged
from edit_rrm_client.bench.answers import Answers, Asked, By
from edit_rrm_client.bench.comparisons import Comparison
from edit_rrm_client.bench.editor_commands import gedit, imgedit
from edit_rrm_client.bench.layout import parquet_files
from edit_rrm_client.bench.published import COMPASS, EDIT_R1, EDITREWARD, MMRB2
from edit_rrm_client.bench.run import Run
from edit_rrm_client.bench.tables import (
    Line,
    compass_lines,
    editscore_lines,
    genai_lines,
    lines_table,
    mmrb2_lines,
    tiger_lines,
)
from edit_rrm_client.bulk.commands import EXIT_SOME_FAILED, reported
from edit_rrm_client.tables import printable

app = typer.Typer(
    no_args_is_help=True,
    help="""Run a public benchmark of edit judges through the service; gedit and imgedit are of editors.

The data sets are not downloaded: PATH is a local copy, such as a Parquet file or the folder that holds them.
A run that stops goes on where it was: answers are kept in a file beside you (`--answers`).""",
)

DataPath = Annotated[Path, typer.Argument(metavar="PATH", help="A Parquet file, or a folder of them.")]
Urls = Annotated[
    list[str] | None,
    typer.Option("--url", envvar="EDIT_RRM_URL", help=f"A service; repeat it for several. [{DEFAULT_URL}]"),
]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar=API_KEY_VARIABLE, show_envvar=True, help="Key, if the service wants one."),
]
Samples = Annotated[int, typer.Option(min=1, max=32, help="Traces to average over.")]
AnswersPath = Annotated[
    Path | None, typer.Option("--answers", help="Where answers are kept. [default: NAME.answers.jsonl]")
]
Concurrency = Annotated[int, typer.Option(min=1, help="Calls at once.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds a call may take, retries included.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the lines as JSON instead of a table.")]


@dataclass(frozen=True)
class Options:
    """What every benchmark takes."""

    name: str
    urls: list[str] | None
    api_key: str | None
    samples: int
    answers: Path | None
    concurrency: int
    timeout_s: float
    as_json: bool


def connect(urls: Sequence[str], api_key: str | None, timeout_s: float) -> RewardClient:
    """The client of every benchmark."""
    return RewardClient(urls, api_key=api_key, timeout_s=timeout_s)


@app.command("editreward-bench")
def editreward_bench(
    path: DataPath,
    preferred: Annotated[
        editscore.Preferred, typer.Option(help="Which image of a row people preferred.")
    ] = "first",
    by: Annotated[
        By,
        typer.Option(
            help="What decides prompt_following and consistency: the mean probability of the follow or keep "
            "principles (dimension), or the score."
        ),
    ] = "dimension",
    resize: Annotated[
        bool, typer.Option("--resize/--as-they-are", help="Edited images at the source's size, as published.")
    ] = True,
    tasks: Annotated[bool, typer.Option("--tasks", help="One line for each task type, too.")] = False,
    url: Urls = None,
    api_key: ApiKey = None,
    samples: Samples = 1,
    answers: AnswersPath = None,
    concurrency: Concurrency = 8,
    timeout: Timeout = 600.0,
    as_json: AsJson = False,
) -> None:
    """EditReward-Bench of EditScore: pairwise accuracy by dimension.

    edit-rrm bench editreward-bench EditReward-Bench/data --tasks
    """
    options = Options("editreward-bench", url, api_key, samples, answers, concurrency, timeout, as_json)
    with reported():
        comparisons = editscore.read_comparisons(parquet_files(path), preferred)
        judged, failures = _judged(comparisons, options, by=by, resize=resize)
        _show(
            "EditReward-Bench (EditScore)", editscore_lines(judged, tasks=tasks), failures, EDIT_R1, options
        )


@app.command("tiger")
def tiger_bench(
    path: DataPath,
    url: Urls = None,
    api_key: ApiKey = None,
    samples: Samples = 1,
    answers: AnswersPath = None,
    concurrency: Concurrency = 8,
    timeout: Timeout = 600.0,
    as_json: AsJson = False,
) -> None:
    """EditReward-Bench of TIGER-Lab: groups of 2, 3 and 4 images, right when every pair of them is.

    edit-rrm bench tiger EditReward-Bench/
    """
    options = Options("tiger", url, api_key, samples, answers, concurrency, timeout, as_json)
    with reported():
        judged, failures = _judged(tiger.read_comparisons(parquet_files(path)), options)
        _show("EditReward-Bench (TIGER-Lab)", tiger_lines(judged), failures, EDITREWARD, options)


@app.command("genai-bench")
def genai_bench(
    path: DataPath,
    url: Urls = None,
    api_key: ApiKey = None,
    samples: Samples = 1,
    answers: AnswersPath = None,
    concurrency: Concurrency = 8,
    timeout: Timeout = 600.0,
    as_json: AsJson = False,
) -> None:
    """GenAI-Bench, its image edition: pairwise accuracy with human ties.

    edit-rrm bench genai-bench GenAI-Bench/image_edition
    """
    options = Options("genai-bench", url, api_key, samples, answers, concurrency, timeout, as_json)
    with reported():
        judged, failures = _judged(genai.read_comparisons(parquet_files(path)), options)
        _show("GenAI-Bench, image edition", genai_lines(judged), failures, EDITREWARD, options)


@app.command("mmrb2")
def mmrb2_bench(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="edit.json, or the folder it was built in.")],
    url: Urls = None,
    api_key: ApiKey = None,
    samples: Samples = 1,
    answers: AnswersPath = None,
    concurrency: Concurrency = 8,
    timeout: Timeout = 600.0,
    as_json: AsJson = False,
) -> None:
    """Multimodal RewardBench 2, its image editing task: pairwise accuracy.

    edit-rrm bench mmrb2 MMRB2/benchmark
    """
    options = Options("mmrb2", url, api_key, samples, answers, concurrency, timeout, as_json)
    with reported():
        judged, failures = _judged(mmrb2.read_comparisons(path), options)
        _show("Multimodal RewardBench 2, editing", mmrb2_lines(judged), failures, MMRB2, options)


@app.command("compass")
def compass_bench(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The JSON list of pairs.")],
    by: Annotated[
        By,
        typer.Option(
            help="What decides a dimension: the mean probability of its principles (dimension), or the score."
        ),
    ] = "dimension",
    url: Urls = None,
    api_key: ApiKey = None,
    samples: Samples = 1,
    answers: AnswersPath = None,
    concurrency: Concurrency = 8,
    timeout: Timeout = 600.0,
    as_json: AsJson = False,
) -> None:
    """EditReward-Compass: pairwise accuracy by dimension, with human ties.

    edit-rrm bench compass EditReward-Compass/reward_eval.json
    """
    options = Options("compass", url, api_key, samples, answers, concurrency, timeout, as_json)
    with reported():
        judged, failures = _judged(compass.read_comparisons(path), options, by=by)
        _show("EditReward-Compass", compass_lines(judged), failures, COMPASS, options)


app.command("gedit")(gedit)
app.command("imgedit")(imgedit)


def _judged(
    comparisons: Iterable[Comparison], options: Options, *, by: By = "score", resize: bool = False
) -> tuple[list[Judged], Counter[str]]:
    """All comparisons with their values, and how many candidates failed with which code."""
    with connect(options.urls or [DEFAULT_URL], options.api_key, options.timeout_s) as client:
        model = client.models().models[0]
        rrm = f"{model.name}@{model.weights_digest}"
        asked = Asked(benchmark=options.name, rrm=rrm, samples=options.samples, resize=resize)
        path = options.answers or Path(f"{options.name}.answers.jsonl")
        with Answers(path, asked) as answers, _counted() as on_read:
            run = Run(answers, rrm, resize, on_read)
            run.score(comparisons, client, options.samples, options.concurrency)
    return run.judged(by), run.failures


def _show(title: str, lines: Sequence[Line], failures: Counter[str], source: str, options: Options) -> None:
    """Prints the lines; failures go to stderr and make the exit code 1."""
    if options.as_json:
        shown = [{**asdict(line), "share": line.share} for line in lines]
        sys.stdout.write(
            json.dumps({"benchmark": options.name, "source": source, "lines": shown}, indent=2) + "\n"
        )
    else:
        Console().print(lines_table(title, lines, source))
    for code, candidates in failures.most_common():
        typer.echo(f"edit-rrm: {candidates} candidates were not scored: {printable(code)}", err=True)
    if failures:
        typer.echo("edit-rrm: the same command asks for them again", err=True)
        raise typer.Exit(EXIT_SOME_FAILED)


@contextmanager
def _counted() -> Iterator[Callable[[], None]]:
    """A count of the comparisons read, on stderr."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} comparisons read"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("comparisons", total=None)
        yield lambda: progress.advance(task)
