"""How long from `edit-rrm-server serve` to ready, and where the time goes, cold and warm.

    python benchmarks/startup.py [--warm 2] [--model PATH]

Cold means no Python bytecode and an empty vLLM cache, in temporary directories of this run; the disk
cache of the operating system is left as it is. Warm means the same directories once more.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

_STEP = re.compile(r"^ *(?P<at_s>\d+\.\d) s  (?P<what>.*?)(?:…|$)")
_LISTENING = re.compile(r"listening on (http://\S+);")
_LIMIT_S = 400.0


def measure(command: list[str], environment: dict[str, str]) -> tuple[list[tuple[str, float]], float, float]:
    """The steps with their seconds, seconds until /ready answers 200, seconds from SIGTERM to the end."""
    started = time.monotonic()
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=environment)
        url = None
        while True:
            if process.poll() is not None or time.monotonic() - started > _LIMIT_S:
                raise RuntimeError(f"the service did not come up:\n{Path(log.name).read_text()[-2000:]}")
            found = _LISTENING.search(Path(log.name).read_text())
            url = url or (found[1] if found else None)
            if url is not None and httpx.get(f"{url}/ready").status_code == 200:
                break
            time.sleep(0.05)
        ready_s = time.monotonic() - started
        text = Path(log.name).read_text()
        ending = time.monotonic()
        process.send_signal(signal.SIGTERM)
        if process.wait(60) != 0:
            raise RuntimeError(f"the service ended with status {process.returncode}")
        return _steps(text, ready_s), ready_s, time.monotonic() - ending


def _steps(log: str, ready_s: float) -> list[tuple[str, float]]:
    """Each step and how long until the next one began."""
    marks = [(m["what"], float(m["at_s"])) for m in map(_STEP.match, log.splitlines()) if m]
    marks = [
        (what, at)
        for what, at in marks
        if not what.startswith(("listening", "edit-rrm-tiny judges", "ready"))
    ]
    ends = [at for _, at in marks[1:]] + [ready_s]
    first = [("Python and the service's own imports", marks[0][1])]
    return first + [(what, end - at) for (what, at), end in zip(marks, ends, strict=True)]


def main(
    warm: Annotated[int, typer.Option(help="Warm starts after the cold one.")] = 1,
    model: Annotated[Path | None, typer.Option(help="Checkpoint; default: the bundled one.")] = None,
) -> None:
    """Prints one column per start."""
    command = [str(Path(sys.executable).with_name("edit-rrm-server")), "serve", "--port", "0"]
    command += ["--model", str(model)] if model else []
    with tempfile.TemporaryDirectory() as caches:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPYCACHEPREFIX": f"{caches}/pycache",
            "VLLM_CACHE_ROOT": f"{caches}/vllm",
            "XDG_CACHE_HOME": f"{caches}/xdg",
        }
        runs = [measure(command, environment) for _ in range(1 + warm)]
    table = Table("step, seconds", *["cold", *["warm"] * warm], title="edit-rrm-server serve")
    names = [what for what, _ in runs[0][0]]
    for name in names:
        table.add_row(name, *(f"{dict(steps).get(name, 0.0):.1f}" for steps, _, _ in runs))
    table.add_row("ready", *(f"{ready_s:.1f}" for _, ready_s, _ in runs), style="bold")
    table.add_row("SIGTERM to exit", *(f"{end_s:.1f}" for _, _, end_s in runs))
    console = Console()
    console.print(table)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    console.print(f"{len(os.sched_getaffinity(0))} cores, load average {load}")


if __name__ == "__main__":
    typer.run(main)
