"""Scores the demo's edits of photographs with a model that you serve, and says how often it prefers the good.

    make demo-photos URL=http://127.0.0.1:8000                # a service that runs
    make demo-photos MODEL=Qwen/Qwen3-VL-8B-Instruct          # one that is started for it

It shows the mechanics on real pictures and measures no model: 12 edits made by ordinary image operations.
"""

import argparse
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.main import get_command

import run
from edit_rrm_client import EditRRMClientError, RetryPolicy, RewardClient
from edit_rrm_client.bulk.rows import ResultRow, read_results
from edit_rrm_client.cli import app
from edit_rrm_client.tables import judges_panel, printable, told
from photo_listing import LISTING, listed
from photo_pairs import Pair, pairs, won
from photo_sheet import draw_sheet
from service import Service, ServiceDiedError

OUTPUT = run.OUTPUT / "photos"
NOTHING_TO_ASK = (
    "nothing to ask: start a service of a vision-language model (`edit-rrm-server serve --model …`) and run "
    "`make demo-photos URL=http://127.0.0.1:8000`, or let this start it: `make demo-photos MODEL=…`"
)
WRONG_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every edit was scored, 1 when some were not, 2 without a model to ask, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a running service; EDIT_RRM_API_KEY is its key, if it wants one")
    parser.add_argument("--model", help="a checkpoint, a hub id or a name: started here, stopped afterwards")
    parser.add_argument("--out", type=Path, default=OUTPUT, help="folder of what it writes [%(default)s]")
    given = parser.parse_args(arguments)
    console = Console()
    if bool(given.url) == bool(given.model):
        both = "give --url or --model, not both" if given.url else NOTHING_TO_ASK
        print(f"demo-photos: {both}", file=sys.stderr)
        return WRONG_USAGE
    signal.signal(signal.SIGTERM, _leave)
    try:
        with ExitStack() as stack:
            url = given.url or _started(console, stack, given.model, given.out / "service.log")
            return score(console, url, given.out)
    except (ServiceDiedError, EditRRMClientError, OSError) as error:
        console.print(Text(f"The demo failed: {told(error)}", "red"))
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; the same command goes on from here.")
        return 130


def score(console: Console, url: str, out: Path) -> int:
    """Has the commands score the edits and write the report, draws the sheet, counts the pairs."""
    key, retries = os.environ.get("EDIT_RRM_API_KEY"), RetryPolicy(attempts=3)
    with RewardClient(url, api_key=key, retries=retries) as client:
        model = client.models().models[0]
    console.print(judges_panel(model))
    folder = out / f"{model.name}-{model.weights_digest}".replace("/", "_")  # another model, other results
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.jsonl"
    ended = edit_rrm("score", str(LISTING), "--out", str(results), "--url", url, "--retry-failed")
    if not results.exists():
        return ended
    report, sheet = folder / "report.html", folder / "sheet.png"
    title = f"Edits of photographs, judged by {model.name}@{model.weights_digest}"
    edit_rrm("report", str(results), "--out", str(report), "--title", title)
    rows = list(read_results(results))
    draw_sheet(listed(), title, {row.key: _reward(row) for row in rows}).save(sheet)
    _tell(console, rows)
    console.print(Text(f"Report: {report}\nSheet:  {sheet}"), soft_wrap=True)
    return ended


def _started(console: Console, stack: ExitStack, model: str, log: Path) -> str:
    console.print(f"Starting a service of {printable(model)}; its log: {log}", soft_wrap=True)
    service = stack.enter_context(Service(log, options=("--model", model)))
    client = stack.enter_context(RewardClient(service.url, retries=RetryPolicy(attempts=3)))
    ready_s = run.wait_with_progress(console, client, service)
    console.print(Text(f"Ready in {ready_s:.0f} s at {service.url}.", "green"))
    return service.url


def edit_rrm(*words: str) -> int:
    """Runs a command of the client; its exit status."""
    status = get_command(app).main(list(words), standalone_mode=False)
    return status if isinstance(status, int) else 0


def _tell(console: Console, rows: Sequence[ResultRow]) -> None:
    found = pairs(rows)
    flaws = {edit.key: edit.flaw for edit in listed()}
    by_flaw: dict[str, list[Pair]] = defaultdict(list)
    for pair in found:
        by_flaw[flaws[pair.bad_key]].append(pair)
    table = Table("bad edits", "pairs", "good preferred", "ties, half each", "share (95 %)")
    for name, some in [*sorted(by_flaw.items()), ("all", found)]:
        counted = won(some)
        table.add_row(name, str(counted.pairs), f"{counted.won:g}", str(counted.ties), counted.share)
    console.print(table)
    failed = sum(row.reward is None for row in rows)
    if failed:
        console.print(Text(f"{failed} of {len(rows)} edits have no reward and enter no pair.", "red"))
    console.print(
        "A demo of the mechanics on edits made by ordinary image operations; no measure of a model."
    )


def _reward(row: ResultRow) -> str:
    return f"not scored: {row.error_code}" if row.reward is None else f"reward {row.reward:.2f}"


def _leave(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
