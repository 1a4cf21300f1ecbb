"""Options that commands which ask for scores have in common."""

from typing import Annotated

import typer

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.wire import MAX_SAMPLES, MAX_SOURCES, GuardMode

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
Guards = Annotated[GuardMode, typer.Option(help="What a triggered image check may do.")]
SourceOfGuards = Annotated[
    int, typer.Option(min=0, max=MAX_SOURCES - 1, help="Which source image checks compare with, from 0.")
]
