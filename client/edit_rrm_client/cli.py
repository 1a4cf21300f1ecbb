"""`edit-rrm`, the client on the command line. Results go to stdout, errors to stderr as one line.

Exit codes: 0 done, 1 the service could not score or was not reachable, 2 the input was wrong.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from edit_rrm.principles import Principle
from edit_rrm.program import program
from edit_rrm.wire import AnswerModel, CandidateFailed, ModelAnswer
from edit_rrm_client import (
    AuthenticationError,
    EditRRMClientError,
    InvalidRequestError,
    Probe,
    RetryPolicy,
    RewardClient,
)
from edit_rrm_client._options import RRM, Aggregator, GuardWords, Samples, SourceOfGuards, guards_of
from edit_rrm_client._settings import API_KEY_VARIABLE, DEFAULT_URL
from edit_rrm_client.bench.commands import app as bench
from edit_rrm_client.bulk.analysis_commands import best_of_n as bulk_best_of
from edit_rrm_client.bulk.analysis_commands import compare as bulk_compare
from edit_rrm_client.bulk.commands import score as bulk_score
from edit_rrm_client.guards_command import guards
from edit_rrm_client.judges.commands import app as judges
from edit_rrm_client.report.command import report
from edit_rrm_client.tables import judges_panel, models_table, principle_table, printable, score_view, told

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2

app = program(
    "edit-rrm",
    """Ask a running edit-rrm service how good an image edit is.

Start a service with `edit-rrm-server serve`, wait for it with `edit-rrm wait`, then

    edit-rrm score-one --source before.png --edited after.png --instruction "make the red car blue"

Rewards lie in [0, 1], scores in [0, 10]. A failure is an error, never a reward.""",
)

Url = Annotated[str, typer.Option(envvar="EDIT_RRM_URL", help="Address of the service.")]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar=API_KEY_VARIABLE, show_envvar=True, help="Key, if the service wants one."),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for the call, retries included.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the service's answer as JSON instead of a table.")
]
Instruction = Annotated[str, typer.Option(help="What the editor was asked to do.")]
Source = Annotated[
    list[Path],
    typer.Option(
        help="The image before the edit: PNG, JPEG or WebP. Given again, up to four times, where the edit "
        "has several; their order is that of the instruction."
    ),
]


def connect(url: str, api_key: str | None, timeout_s: float) -> RewardClient:
    """The client every command uses; a person at a terminal wants to hear of failures soon."""
    return RewardClient(url, api_key=api_key, timeout_s=timeout_s, retries=RetryPolicy(attempts=3))


@app.command("score-one")
def score_one(
    source: Source,
    edited: Annotated[Path, typer.Option(help="The image after the edit.")],
    instruction: Instruction,
    principles: Annotated[
        Path | None,
        typer.Option(help="JSON file with the principles to judge by; see `edit-rrm decompose --json`."),
    ] = None,
    samples: Samples = None,
    aggregator: Aggregator = None,
    guards: GuardWords = None,
    source_of_guards: SourceOfGuards = 0,
    rrm: RRM = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    timeout: Timeout = 300.0,
    as_json: AsJson = False,
) -> None:
    """Score one edited image, principle by principle.

    Judge by the service's own principles:

        edit-rrm score-one --source a.png --edited b.png --instruction "remove the dog"

    Judge by yours, averaged over 8 traces, for a script:

        edit-rrm score-one --source a.png --edited b.png --instruction "remove the dog" \\
            --principles mine.json --samples 8 --json

    An edit of two images:

        edit-rrm score-one --source a.png --source hat.png --edited b.png --instruction "add the hat"
    """
    with _reported(), connect(url, api_key, timeout) as client:
        answer = client.score(
            instruction,
            source,
            [edited],
            principles=None if principles is None else read_principles(principles),
            samples=samples,
            aggregator=aggregator,
            guards=guards_of(guards),
            priority="interactive",
            source_of_guards=source_of_guards,
            model=rrm,
        )
        if as_json:
            _print_json(answer)
        else:
            console = Console()
            console.print(score_view(answer, title=instruction))
            _print_judges(console, client.models().models)
        if isinstance(answer.results[0], CandidateFailed):
            raise typer.Exit(EXIT_FAILED)


@app.command()
def decompose(
    source: Source,
    instruction: Instruction,
    rrm: RRM = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    timeout: Timeout = 300.0,
    as_json: AsJson = False,
) -> None:
    """Show the principles an edit would be judged by.

    Save them, edit them, and judge by them:

        edit-rrm decompose --source a.png --instruction "remove the dog" --json > mine.json
    """
    with _reported(), connect(url, api_key, timeout) as client:
        answer = client.decompose(instruction, source, model=rrm)
        if as_json:
            _print_json(answer)
        else:
            Console().print(principle_table(answer.principles, title=instruction))


@app.command()
def models(
    url: Url = DEFAULT_URL, api_key: ApiKey = None, timeout: Timeout = 30.0, as_json: AsJson = False
) -> None:
    """Show what is served: digest, defaults, limits, and what its scores are good for."""
    with _reported(), connect(url, api_key, timeout) as client:
        answer = client.models()
        if as_json:
            _print_json(answer)
            return
        console = Console()
        console.print(models_table(answer.models))
        _print_judges(console, answer.models)


@app.command()
def wait(url: Url = DEFAULT_URL, api_key: ApiKey = None, timeout: Timeout = 300.0) -> None:
    """Wait until the service can score; for scripts that start it in the background.

    edit-rrm-server serve & edit-rrm wait --timeout 120 && ./train.sh
    """
    console = Console(stderr=True)
    with (
        _reported(),
        connect(url, api_key, timeout) as client,
        console.status(f"waiting for {url}") as status,
    ):

        def show(probe: Probe, elapsed_s: float) -> None:
            status.update(f"waiting for {url}: {elapsed_s:.0f} s, {printable(probe.detail)}")

        elapsed_s = client.wait_until_ready(timeout, show)
    typer.echo(f"ready after {elapsed_s:.1f} s")


app.command("score")(bulk_score)
app.command("compare")(bulk_compare)
app.command("best-of")(bulk_best_of)
app.command()(report)
app.command()(guards)
app.add_typer(bench, name="bench")
app.add_typer(judges, name="judges")


def read_principles(path: Path) -> list[Principle]:
    """Principles from a JSON list, or from an object that holds one under "principles".

    A principle without an id is numbered by its place. Raises InvalidRequestError.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequestError(f"cannot read principles from {path}: {error}") from error
    if isinstance(content, dict):
        content = content.get("principles")
    if isinstance(content, list):
        content = [
            {"id": f"p{number}", **item} if isinstance(item, dict) else item
            for number, item in enumerate(content, start=1)
        ]
    try:
        return TypeAdapter(list[Principle]).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "file"
        raise InvalidRequestError(
            f"{path} holds no principles: {where}: {first['msg']}; "
            'expected [{"question": "Is the car blue?", "category": "follow"}, …]'
        ) from error


@contextmanager
def _reported() -> Iterator[None]:
    """Turns the client's errors into one line on stderr and the exit code that fits."""
    try:
        yield
    except (InvalidRequestError, AuthenticationError) as error:
        typer.echo(f"edit-rrm: {printable(str(error))}", err=True)
        raise typer.Exit(EXIT_BAD_INPUT) from error
    except EditRRMClientError as error:
        typer.echo(f"edit-rrm: {told(error)}", err=True)
        raise typer.Exit(EXIT_FAILED) from error


def _print_json(answer: AnswerModel) -> None:
    sys.stdout.write(answer.model_dump_json(indent=2) + "\n")


def _print_judges(console: Console, loaded: list[ModelAnswer]) -> None:
    for model in loaded:
        console.print(judges_panel(model))
