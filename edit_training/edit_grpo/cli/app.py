"""`edit-grpo`: the editor's trainer on the command line. Here: the check before a run."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edit_grpo.cli.export import export
from edit_grpo.cli.sample import sample
from edit_grpo.cli.train import EXIT_BAD_INPUT, EXIT_NOT_FIT, train
from edit_grpo.reward.preflight import MAX_GROUP_SIZE, MIN_GROUP_SIZE, Preflight, run_preflight
from edit_rrm.program import program
from edit_rrm_client import (
    AuthenticationError,
    EditRRMClientError,
    InvalidRequestError,
    RetryPolicy,
    RewardClient,
)
from edit_rrm_client.tables import judges_panel, printable, told

app = program(
    "edit-grpo",
    """Train an image editor with GRPO against a running edit-rrm service.

Check the service before a run costs GPU hours:

    edit-grpo preflight --url http://127.0.0.1:8000 --group-size 24

Then train; every setting is in one file:

    edit-grpo train flux_kontext_recommended

Then look at it, and take it elsewhere:

    edit-grpo sample --checkpoint runs/kontext --edits edits.jsonl --out runs/kontext-out

    edit-grpo export --checkpoint runs/kontext --out kontext-lora""",
)
app.command()(train)
app.command()(sample)
app.command()(export)


def connect(url: str, api_key: str | None) -> RewardClient:
    """The client that the preflight uses; a test puts its own in this place."""
    return RewardClient(url, api_key=api_key, retries=RetryPolicy(attempts=3))


@app.command()
def preflight(
    url: Annotated[
        str, typer.Option(envvar="EDIT_RRM_URL", help="Address of the reward service.")
    ] = "http://127.0.0.1:8000",
    group_size: Annotated[
        int, typer.Option(min=MIN_GROUP_SIZE, max=MAX_GROUP_SIZE, help="Candidates per group in the run.")
    ] = 24,
    deadline: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds that a group may take in the run.")
    ] = 120.0,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for a service that is loading.")] = 0.0,
    api_key: Annotated[
        str | None, typer.Option(envvar="EDIT_RRM_API_KEY", help="Key, if the service wants one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say whether a run can start: one synthetic group through the service, as training would send it.

    Checks that the service is ready, that every candidate gets a typed reward, that no failure hides
    behind a zero, that the rewards of different edits differ, and how long a group takes.

    Exit codes: 0 fit for a run, 1 not fit or not reachable, 2 wrong input.
    """
    try:
        with connect(url, api_key) as client:
            report = run_preflight(client, group_size=group_size, deadline_s=deadline, wait_s=wait)
    except (InvalidRequestError, AuthenticationError) as error:
        typer.echo(f"edit-grpo: {printable(str(error))}", err=True)
        raise typer.Exit(EXIT_BAD_INPUT) from error
    except EditRRMClientError as error:
        typer.echo(f"edit-grpo: {told(error)}", err=True)
        raise typer.Exit(EXIT_NOT_FIT) from error
    if as_json:
        typer.echo(json.dumps(as_mapping(report), indent=2))
    else:
        show(Console(), report, group_size)
    if not report.ok:
        raise typer.Exit(EXIT_NOT_FIT)


def as_mapping(report: Preflight) -> dict[str, object]:
    """The findings for a script."""
    model = report.model
    return {
        "fit": report.ok,
        "model": f"{model.name}@{model.weights_digest}",
        "aggregator": model.aggregator,
        "latency_s": round(report.latency_s, 3),
        "findings": [asdict(finding) for finding in report.findings],
    }


def show(console: Console, report: Preflight, group_size: int) -> None:
    """Prints the findings, the cost of a group, and what the scores are good for."""
    model = report.model
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column()
    table.add_column()
    facts = (
        ("model", f"{model.name}@{model.weights_digest}"),
        ("aggregator", model.aggregator),
        ("group", f"{group_size} candidates in {report.latency_s:.2f} s, {_rate(report, group_size)}"),
    )
    for name, value in facts:
        table.add_row("", Text(name, "dim"), Text(printable(value)))
    for finding in report.findings:
        mark = Text("✓", "bold green") if finding.ok else Text("✗", "bold red")
        table.add_row(mark, finding.name, Text(printable(finding.detail)))
    console.print(table)
    console.print(judges_panel(model))
    verdict = Text("fit for a run", "bold green") if report.ok else Text("NOT fit for a run", "bold red")
    console.print(verdict)


def _rate(report: Preflight, group_size: int) -> str:
    usage = report.answer.usage
    cached = f", {usage.cached_prompt_tokens} of {usage.prompt_tokens} prompt tokens cached"
    return f"{group_size / max(report.latency_s, 1e-9):.1f} a second" + (
        cached if usage.prompt_tokens else ""
    )
