"""Does one `edit-rrm score` keep two services busy with photographs?

    .venv/bin/python benchmarks/bulk_feed.py [--edits 2000] [--trace-s 4]

Photographs of 1024 x 1024 as JPEG files, one candidate each, scored into a Parquet file through two services.
Their engine writes a trace of 500 tokens in `--trace-s` seconds whatever else it does, so that it could have
a full window done in that time: the question is whether the window is full. Printed: jobs in each engine
against the edits that the command holds for each (64), in the middle half of the run; processor time a
candidate of the command, and of the services. Bar: at least 0.9 of them in both.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import httpx
import psutil  # type: ignore[import-untyped]
import typer
from rich.table import Table
from rig.pictures import make_edits
from rig.processes import ServerProcess, end_on_sigterm, free_port
from rig.report import Bar, console, progress, say_machine

from edit_rrm_client.bulk.services import Services

RIG = Path(__file__).parent / "rig"
SERVICES = 2
SAMPLE_S = 0.25
EDITS_A_SERVICE = Services(urls=("http://a",)).width.edits
BAR = Bar("jobs in the less busy engine, of those that the command holds for it", 0.9, at_least=True)
_IN_FLIGHT = re.compile(r"^edit_rrm_jobs_in_flight (\S+)$", re.MULTILINE)


def write_edits(folder: Path, edits: int) -> Path:
    """The job's input: sources of eight edits each, every edit a row and a call of its own."""
    rows: list[dict[str, str]] = []
    while len(rows) < edits:
        number = len(rows) // 8
        made = make_edits(1024, "JPEG", 8, number)
        (folder / f"{number}-source.jpg").write_bytes(made.source)
        for place, data in enumerate(made.candidates):
            (folder / f"{number}-{place}.jpg").write_bytes(data)
            instruction = f"add a red square, number {place}"
            files = {"source": f"{number}-source.jpg", "edited": f"{number}-{place}.jpg"}
            rows.append({"instruction": instruction, **files})
    file = folder / "edits.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:edits]), encoding="utf-8")
    return file


def instant_service(trace_s: float) -> ServerProcess:
    """One that needs so long for a trace, and nothing else."""
    port = free_port()
    settings = {"score_cache_mib": 0, "guards": {"modes": {"no_edit": "report"}}}
    told = json.dumps({"tokens": 500, "trace_s": trace_s, "settings": settings})
    return ServerProcess([sys.executable, str(RIG / "instant_service.py"), str(port), told], port, "/ready")


def in_flight(service: ServerProcess) -> float:
    """Jobs in its engine."""
    found = _IN_FLIGHT.search(httpx.get(f"{service.url}/metrics").text)
    return float(found.group(1)) if found else 0.0


def main(
    edits: Annotated[int, typer.Option(min=100, help="Photographs to score.")] = 2000,
    trace_s: Annotated[float, typer.Option(min=0.1, help="Seconds an engine takes for a trace.")] = 4.0,
) -> None:
    """Prints how full one bulk job keeps two engines."""
    end_on_sigterm()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        progress.print(f"making {edits} edits")
        source = write_edits(folder, edits)
        services = [stack.enter_context(instant_service(trace_s)) for _ in range(SERVICES)]
        before = [service.cpu_time().server_s for service in services]
        command = [str(Path(sys.executable).with_name("edit-rrm")), "score", str(source)]
        command += ["-o", str(folder / "results.parquet")]
        for service in services:
            command += ["--url", service.url]
        progress.print("scoring")
        started = time.monotonic()
        job = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        samples: list[tuple[float, list[float]]] = []
        used_s = 0.0
        while job.poll() is None:
            times = job.cpu_times()
            used_s = times.user + times.system
            samples.append((time.monotonic() - started, [in_flight(service) for service in services]))
            time.sleep(SAMPLE_S)
        took_s = time.monotonic() - started
        if job.returncode != 0:
            raise RuntimeError(f"the job ended with status {job.returncode}")
        after = [service.cpu_time().server_s for service in services]
    middle = [jobs for at, jobs in samples if took_s / 4 <= at <= 3 * took_s / 4]
    table = Table("", "jobs in the engine, mean", f"of {EDITS_A_SERVICE}", "processor ms a candidate")
    shares = []
    for number in range(SERVICES):
        mean = statistics.fmean(jobs[number] for jobs in middle)
        shares.append(mean / EDITS_A_SERVICE)
        used = 1e3 * (after[number] - before[number]) / (edits / SERVICES)
        table.add_row(f"service {number + 1}", f"{mean:.1f}", f"{shares[-1]:.2f}", f"{used:.1f}")
    table.add_row("edit-rrm score", "", "", f"{1e3 * used_s / edits:.1f}")
    console.print(table)
    console.print(f"{edits} photographs in {took_s:.1f} s: {edits / took_s:.1f} a second")
    BAR.judge(min(shares))
    say_machine()


if __name__ == "__main__":
    typer.run(main)
