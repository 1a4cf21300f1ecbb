"""The figures of a run as a file that can be kept: beside them the command, the day and the machine."""

import datetime
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from edit_rrm.whole_files import write_whole
from rig.report import Bar

Out = Annotated[Path | None, typer.Option("--out", help="Where the figures go, as JSON.")]


def write_figures(out: Path | None, figures: Mapping[str, object]) -> None:
    """Writes them, whole or not at all; nothing where no file was asked for."""
    if out is None:
        return
    script = f"benchmarks/{Path(sys.argv[0]).name}"
    kept = {
        "command": shlex.join([script, *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[1], 1),
        **figures,
    }
    write_whole(out, json.dumps(kept, indent=1) + "\n")


def bar_met(bar: Bar, measured: float) -> dict[str, object]:
    """A bar as figures: what it asks, what was measured, whether it is met."""
    return {
        "what": bar.what,
        "measured": measured,
        "limit": bar.limit,
        "unit": bar.unit,
        "met": bar.met(measured),
    }
