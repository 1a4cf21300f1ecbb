"""The demo: start the service with its bundled model, score a handful of edits, show what it says and why.

Ends by itself; leaves a contact sheet and no process.
"""

import signal
import sys
import time
from pathlib import Path
from types import FrameType

from PIL import Image
from pydantic import ValidationError
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from edit_rrm_client import (
    CandidateFailed,
    EditRRMClientError,
    ModelAnswer,
    Probe,
    RetryPolicy,
    RewardClient,
    ScoringFailedError,
)
from edit_rrm_client.pictures import ScoredEdit, draw_contact_sheet
from edit_rrm_client.tables import judges_panel, printable, score_view
from edits import SampleEdit, load_edits
from service import Service, ServiceDiedError

FOLDER = Path(__file__).resolve().parent
OUTPUT = FOLDER.parent / "demo-out"
READY_TIMEOUT_S = 300.0
SCORE_TIMEOUT_S = 120.0
PLAIN_PROGRESS_EVERY_S = 10.0


def main() -> int:
    """0 when every edit was scored, 1 when something failed, 130 on Ctrl-C."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _leave)
    console = Console()
    try:
        edits = load_edits(FOLDER / "edits.json")
    except (OSError, ValidationError) as error:
        console.print(Text(f"The demo's edits cannot be read: {error}", "red"))
        return 1
    try:
        return run(console, edits)
    except (ServiceDiedError, EditRRMClientError, OSError) as error:
        console.print(Text(f"The demo failed: {error}", "red"))
        console.print(Text(f"The service's log: {OUTPUT / 'service.log'}"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; so is the service.")
        return 130


def run(console: Console, edits: list[SampleEdit]) -> int:
    """Scores `edits` with a service of its own and writes the contact sheet."""
    started_s = time.monotonic()
    console.print(Rule("edit-rrm: a reward model for image editing that says why", style="blue"))
    console.print("Starting the service with its bundled model: ten seconds, thirty the first time.")
    with (
        Service(OUTPUT / "service.log") as service,
        RewardClient(service.url, retries=RetryPolicy(attempts=3)) as client,
    ):
        ready_s = wait_with_progress(console, client, service)
        console.print(Text(f"Ready in {ready_s:.0f} s at {service.url}.", "green"))
        model = client.models().models[0]
        rows = [score(console, client, edit, number, len(edits)) for number, edit in enumerate(edits, 1)]
        console.print(Text("\nStopping the service …", "dim"))
    scored = [row for row in rows if row is not None]
    console.print(judges_panel(model))
    if scored:
        console.print(Text(f"Contact sheet: {write_sheet(scored, model)}"), soft_wrap=True)
    if len(scored) < len(edits):
        missing = len(edits) - len(scored)
        console.print(Text(f"{missing} of {len(edits)} edits could not be scored; see above.", "red"))
        return 1
    elapsed_s = time.monotonic() - started_s
    console.print(
        f"Done in {elapsed_s:.0f} s; the service has been stopped. "
        "Next: `make serve`, then `edit-rrm score-one --help`."
    )
    return 0


def wait_with_progress(console: Console, client: RewardClient, service: Service) -> float:
    """Seconds until ready, told from the first one: a spinner at a terminal, lines elsewhere."""
    told_s = 0.0
    with console.status("starting … 0 s") as spinner:

        def show(probe: Probe, elapsed_s: float) -> None:
            nonlocal told_s
            service.check()
            reason = "starting" if probe.code == "unreachable" else probe.detail
            spinner.update(Text(f"{reason} … {elapsed_s:.0f} s"))
            if not console.is_terminal and elapsed_s - told_s >= PLAIN_PROGRESS_EVERY_S:
                told_s = elapsed_s
                console.print(Text(f"  {elapsed_s:.0f} s: {reason}"))

        return client.wait_until_ready(READY_TIMEOUT_S, show)


def score(
    console: Console, client: RewardClient, edit: SampleEdit, number: int, count: int
) -> ScoredEdit | None:
    """Scores one edit and prints everything the service said about it; None when it could not be scored."""
    console.print()
    console.print(Rule(Text(f"{number}/{count}  {edit.title}"), align="left", style="dim"))
    began_s = time.monotonic()
    try:
        with console.status(Text(f"scoring {edit.name} …")):
            answer = client.score(
                edit.instruction,
                edit.source,
                [edit.edited],
                deadline_s=SCORE_TIMEOUT_S,
                priority="interactive",
            )
    except ScoringFailedError as error:
        console.print(Text(f"“{edit.instruction}” was not scored: {printable(str(error))}", "red"))
        return None
    took_s = time.monotonic() - began_s
    console.print(score_view(answer, title=f"“{edit.instruction}”"))
    console.print(Text(f"expected  {edit.expect}", "dim"))
    origin = {"model": "by the model", "cache": "earlier, from the cache", "request": "in the request"}
    principles = f"; principles written {origin[answer.principles_from]}" if answer.principles else ""
    console.print(Text(f"{took_s:.1f} s{principles}", "dim"))
    if isinstance(answer.results[0], CandidateFailed):
        return None
    with Image.open(edit.source) as source, Image.open(edit.edited) as edited:
        return ScoredEdit(edit.title, edit.instruction, source.convert("RGB"), edited.convert("RGB"), answer)


def write_sheet(scored: list[ScoredEdit], model: ModelAnswer) -> Path:
    """Draws the contact sheet; its path."""
    path = OUTPUT / "contact_sheet.png"
    title = f"{len(scored)} edits, judged by {model.name}@{model.weights_digest}"
    draw_contact_sheet(scored, title=title, note=model.judges).save(path)
    return path


def _leave(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
