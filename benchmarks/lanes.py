"""How long does an interactive call wait while bulk work saturates the engine?

    .venv/bin/python benchmarks/lanes.py [--calls 60]

Single-candidate calls of the interactive lane, one after the other with pauses: first with the engine
idle, then with two and a half windows of bulk calls always waiting or running. Bar: their 95th
percentile under bulk is at most twice one trace's time, as a trace takes it in the full engine: the
median over the bulk calls of their time in the engine, waiting left out (the answer's `verify_s` less
`queue_s`). An interactive job that waits at most one trace's time for its place and then runs beside 63
others takes two. The ratio to the idle engine is printed too, without a bar: in a full engine every
trace is slower than alone, whoever waits.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table
from rig.calls import Supply
from rig.processes import end_on_sigterm, reward_server
from rig.report import Bar, console, percentile, progress, say_machine

from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings

BAR = Bar("interactive p95 under bulk, in times of one trace in the full engine", 2.0, at_least=False)
PAUSE_S = (0.1, 0.5)
BULK_WINDOWS = 2.5


@dataclass
class Seen:
    """What callers of one lane saw."""

    latencies_s: list[float] = field(default_factory=list)
    queue_s: list[float] = field(default_factory=list)
    engine_s: list[float] = field(default_factory=list)

    def add(self, latency_s: float, answer: httpx.Response) -> None:
        """Notes one call. One whose trace does not parse (502) took its time too, but tells no parts."""
        if answer.status_code not in (200, 502):
            raise RuntimeError(f"a call failed: {answer.status_code} {answer.text[:300]}")
        self.latencies_s.append(latency_s)
        if answer.status_code == 200:
            timing: dict[str, Any] = answer.json()["timing"]
            self.queue_s.append(timing["queue_s"])
            self.engine_s.append(timing["verify_s"] - timing["queue_s"])

    def forget(self) -> None:
        """Starts anew."""
        for values in (self.latencies_s, self.queue_s, self.engine_s):
            values.clear()


async def one_by_one(http: httpx.AsyncClient, supply: Supply, calls: int, seed: int) -> Seen:
    """Interactive calls with random pauses, so that none falls in step with the engine."""
    seen, dice = Seen(), random.Random(seed)
    for _ in range(calls):
        body = supply.take()
        started = time.perf_counter()
        answer = await body.send(http)
        seen.add(time.perf_counter() - started, answer)
        await asyncio.sleep(dice.uniform(*PAUSE_S))
    return seen


async def keep_full(http: httpx.AsyncClient, supply: Supply, seen: Seen) -> None:
    """One bulk caller; runs until it is cancelled."""
    while True:
        body = supply.take()
        started = time.perf_counter()
        answer = await body.send(http)
        seen.add(time.perf_counter() - started, answer)


async def compare(
    url: str, interactive: Supply, bulk: Supply, calls: int, callers: int, fill_s: float
) -> tuple[Seen, Seen, Seen]:
    """Idle, under bulk, and the bulk calls themselves."""
    limits = httpx.Limits(max_connections=None)
    background = Seen()
    async with httpx.AsyncClient(base_url=url, timeout=600.0, limits=limits) as http:
        await one_by_one(http, interactive, 3, seed=0)
        progress.print(f"{calls} interactive calls, engine idle")
        idle = await one_by_one(http, interactive, calls, seed=1)
        progress.print(f"{calls} interactive calls, {callers} bulk callers")
        filling = [asyncio.create_task(keep_full(http, bulk, background)) for _ in range(callers)]
        try:
            await asyncio.sleep(fill_s)
            background.forget()
            busy = await one_by_one(http, interactive, calls, seed=2)
            failed = [task for task in filling if task.done()]
            if failed:
                await failed[0]
        finally:
            for task in filling:
                task.cancel()
            await asyncio.gather(*filling, return_exceptions=True)
    return idle, busy, background


def show(idle: Seen, busy: Seen, background: Seen) -> None:
    """The table and the bar."""
    table = Table("", "calls", "median s", "p95 s", "median queue s", "median engine s")
    for name, seen in (
        ("interactive, engine idle", idle),
        ("interactive, under bulk", busy),
        ("bulk", background),
    ):
        cells = [percentile(seen.latencies_s, 0.5), percentile(seen.latencies_s, 0.95)]
        cells += [percentile(seen.queue_s, 0.5), percentile(seen.engine_s, 0.5)]
        table.add_row(name, str(len(seen.latencies_s)), *(f"{value:.3f}" for value in cells))
    console.print(table)
    p95_s = percentile(busy.latencies_s, 0.95)
    against_idle = p95_s / percentile(idle.latencies_s, 0.95)
    console.print(f"interactive p95 under bulk against p95 idle: {against_idle:.2f} (no bar)")
    BAR.judge(p95_s / percentile(background.engine_s, 0.5))


def main(
    calls: Annotated[int, typer.Option(help="Interactive calls, idle and again under bulk.")] = 60,
    fill_s: Annotated[float, typer.Option(help="How long bulk runs alone before.")] = 10.0,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints interactive latency idle and under bulk. Bar: p95 at most 2 times one trace's time."""
    end_on_sigterm()
    callers = int(BULK_WINDOWS * ServerSettings(model=model).engine_window)
    progress.print("rendering edits")
    interactive = Supply(1, priority="interactive")
    bulk = Supply(1, seed=6000, priority="bulk")
    interactive.stock(2 * calls + 3)
    bulk.stock(4 * callers)
    with reward_server(model, retries=0, score_cache_mib=0) as server:
        seen = asyncio.run(compare(server.url, interactive, bulk, calls, callers, fill_s))
    show(*seen)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
