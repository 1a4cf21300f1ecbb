"""How much more do two replicas score than one?

    .venv/bin/python benchmarks/replicas.py [--calls 24]

The application of deploy/ray on a local cluster, with one replica, then with two. Each replica's engine
computes on one thread; what else runs (each replica's own process, Ray's proxy, this script) shares the same
cores. So on two cores the two replicas have no core to spare, and the ratio is below what machines of
their own would show. Bar: at least 1.5 times the candidates a second of one, where two cores can be had
for each replica; with fewer the ratio is printed and not judged.
"""

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.table import Table
from rig.calls import Body, Supply
from rig.processes import end_on_sigterm
from rig.report import Bar, console, progress, say_machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "deploy" / "ray"))

from local_cluster import local_cluster, run_replicas
from replica import REPLICA_HEADER

GROUP = 8
BAR = Bar("two replicas against one, candidates a second", 1.5, at_least=True)
CORES_TO_JUDGE = 4


@dataclass(frozen=True)
class Run:
    """All calls through so many replicas."""

    replicas: int
    took_s: float
    calls_by_replica: tuple[int, ...]


def measure(url: str, bodies: list[Body], at_once: int) -> Run:
    """The calls, `at_once` of them at any time."""

    async def run() -> Run:
        room = asyncio.Semaphore(at_once)

        async def one(http: httpx.AsyncClient, body: Body) -> str:
            async with room:
                answer = await body.send(http)
            if answer.status_code != 200:
                raise RuntimeError(f"a group was not scored: {answer.status_code} {answer.text[:500]}")
            replica: str = answer.headers[REPLICA_HEADER]
            return replica

        async with httpx.AsyncClient(base_url=url, timeout=600.0) as http:
            started = time.perf_counter()
            by = await asyncio.gather(*(one(http, body) for body in bodies))
            took_s = time.perf_counter() - started
        names = sorted(set(by))
        return Run(len(names), took_s, tuple(by.count(name) for name in names))

    return asyncio.run(run())


def main(
    calls: Annotated[int, typer.Option(help="Group calls measured with each number of replicas.")] = 24,
    at_once: Annotated[int, typer.Option(help="Calls under way at any time.")] = 8,
) -> None:
    """Prints candidates a second with one and with two replicas, and their ratio."""
    end_on_sigterm()
    cores = len(os.sched_getaffinity(0))
    supply = Supply(GROUP)
    runs = []
    with local_cluster(cpus=2) as url:
        for count in (1, 2):
            progress.print(f"starting with {count} replica{'s' * (count > 1)}")
            run_replicas(count, score_cache_mib=0, retries=0, kv_cache_gib=0.5)
            supply.stock(calls + 4 * count)
            measure(url, [supply.take() for _ in range(4 * count)], at_once)  # warm-up
            runs.append(measure(url, [supply.take() for _ in range(calls)], at_once))
    table = Table("replicas", "s", "candidates/s", "calls by replica", title=f"{calls} groups of {GROUP}")
    for done in runs:
        rate = f"{calls * GROUP / done.took_s:.1f}"
        table.add_row(str(done.replicas), f"{done.took_s:.2f}", rate, str(done.calls_by_replica))
    console.print(table)
    ratio = runs[0].took_s / runs[1].took_s
    if cores >= CORES_TO_JUDGE:
        BAR.judge(ratio)
    else:
        console.print(f"ratio {ratio:.2f}; not judged on {cores} cores")
    say_machine()


if __name__ == "__main__":
    typer.run(main)
