"""Options that commands which ask for scores have in common."""

from typing import Annotated

import typer

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.guards.modes import GuardMode, GuardName, read_guards
from edit_rrm.wire import MAX_SAMPLES, MAX_SOURCES

RRM = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which of the service's models judges; see `edit-rrm models`. Default: the first.",
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(min=1, max=MAX_SAMPLES, help="Traces to average over. Default: the judge's, often 1."),
]
Aggregator = Annotated[
    AggregatorName | None, typer.Option(help="How verdicts become a reward; default: the checkpoint's way.")
]
GuardWords = Annotated[
    str | None,
    typer.Option(
        "--guards",
        metavar="MODE|NAME=MODE,…",
        help="What image checks may do: enforce, report or off, for all or by name (size=report,border=off). "
        "Default: what the service says.",
    ),
]
SourceOfGuards = Annotated[
    int, typer.Option(min=0, max=MAX_SOURCES - 1, help="Which source image checks compare with, from 0.")
]


def guards_of(words: str | None) -> GuardMode | dict[GuardName, GuardMode] | None:
    """What `--guards` says. Raises typer.BadParameter."""
    try:
        return read_guards(words)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--guards") from None
