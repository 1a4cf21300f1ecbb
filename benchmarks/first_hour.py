"""How long a stranger waits, by the guides' own blocks: for a score, a report, a trained judge served.

    .venv/bin/python benchmarks/first_hour.py [--only five-minutes]

docs/first-hour.md against `edit-rrm-server serve` (which takes the time to the first score with it), then
docs/train-the-rrm.md, In five minutes, as printed: it says what share of held-out pairs was right before and
after. Works in a temporary folder that has demo/ of the checkout. Bar: five minutes for the last on two idle
cores.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rig.processes import ServerProcess, free_port
from rig.report import Bar, console, say_machine

ROOT = Path(__file__).resolve().parents[1]
SHOWN = "http://127.0.0.1:8000"
FIVE_MINUTES = Bar("five minutes", 300.0, at_least=False, unit="s")
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)


def block(page: str, mark: str) -> tuple[list[str], str]:
    """The program for the one block of a guide that holds `mark`, and the block. Raises ValueError."""
    found = [each for each in _BLOCK.finditer((ROOT / "docs" / page).read_text()) if mark in each["code"]]
    if len(found) != 1:
        raise ValueError(f"expected one block of {page} with {mark!r}, got {len(found)}")
    program = ["python", "-"] if found[0]["language"] == "python" else ["bash", "-e"]
    return program, found[0]["code"]


def run(what: tuple[list[str], str], folder: Path, url: str = SHOWN) -> tuple[float, str]:
    """Seconds that a block takes, and what it prints; its commands are this environment's."""
    program, code = what
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    begun_s = time.monotonic()
    done = subprocess.run(
        program, input=code.replace(SHOWN, url), cwd=folder, stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, "PATH": path, "EDIT_RRM_URL": url},
    )  # fmt: skip
    return time.monotonic() - begun_s, done.stdout


def main(
    only: Annotated[str | None, typer.Option(help="score, report, TRL or five-minutes.")] = None,
) -> None:
    """Prints a line a block."""
    table = Table("what", "seconds", title="The first hour")
    before_after = ""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "demo").symlink_to(ROOT / "demo")
        asked = {"score": "score_group", "report": "edit-rrm compare", "TRL": "GRPOTrainer"}
        if only != "five-minutes":
            command = [str(Path(sys.executable).with_name("edit-rrm-server")), "serve"]
            port = free_port()
            begun_s = time.monotonic()
            with ServerProcess([*command, "--port", str(port)], port, "/ready") as service:
                table.add_row("the service is ready", f"{time.monotonic() - begun_s:.0f}")
                for what, mark in asked.items():
                    if only in (None, what):
                        took_s, _ = run(block("first-hour.md", mark), folder, service.url)
                        table.add_row(what, f"{took_s:.0f}")
        if only in (None, "five-minutes"):
            took_s, said = run(block("train-the-rrm.md", "gcpo_tiny"), folder)
            table.add_row("trained, served and measured", f"{took_s:.0f}")
            before_after = "\n".join(re.findall(r"^ (?:all|ties) .*$", said, re.M))
    console.print(table)
    if before_after:
        console.print(f"before and after, pairs right and tied, 95 % interval, n:\n{before_after}")
        FIVE_MINUTES.judge(took_s)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
