"""What does the service do with more load than it can carry?

    .venv/bin/python benchmarks/overload.py [--seconds 60] [--deadline-s 10]

Capacity first: closed loop, the queue never empty. Then an open loop with Poisson arrivals at 1, 2, 4 and
8 times that, calls of four candidates, every image new, every call with its deadline. Bars: goodput
(candidates answered within their deadline) at 4 and 8 times at least 0.95 of the peak; the 99th
percentile of accepted calls within the deadline, and of refusals under 50 ms; memory flat.

`queue_capacity` is set so that what is accepted can be finished in time: a full queue and a full window
(`window`, 64 jobs) take 60 % of the deadline at the measured capacity. Its default is for trainers
with long deadlines.
"""

import asyncio
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.table import Table
from rig.calls import Body, Supply
from rig.processes import Memory, ServerProcess, end_on_sigterm, reward_server
from rig.report import Bar, console, percentile, progress, say_machine

from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings

LOADS = (1, 2, 4, 8)
JUDGED = (4, 8)
DEADLINE_SHARE = 0.6
RAMP_SHARE = 0.1
"""First part of each measurement, left out: the queue is still filling."""
GRACE_S = 15.0
GOODPUT_BAR = Bar("goodput at 4 and 8 times capacity against the peak, the lesser", 0.95, at_least=True)
REFUSAL_BAR = Bar("p99 of a refusal, the worst load", 50.0, at_least=False, unit="ms")
MEMORY_BAR = Bar("memory after the last load against after the first", 1.1, at_least=False)


@dataclass(frozen=True)
class Outcome:
    """One call, seen by its caller. Times are seconds since the load began; `status` 0: no answer at all."""

    due_s: float
    sent_s: float
    ended_s: float
    status: int
    candidates: int  # with a result or an error of their own, in a 200

    @property
    def latency_s(self) -> float:
        """From sending to the whole answer."""
        return self.ended_s - self.sent_s


@dataclass(frozen=True)
class Load:
    """What came of one offered load."""

    times: int
    offered_per_s: float  # candidates
    outcomes: Sequence[Outcome]
    server_refusals_s: Sequence[float]  # by the server's own clock
    memory: Memory

    def goodput_per_s(self, seconds: float, deadline_s: float) -> float:
        """Candidates a second answered in time, of those answered between the ramp and the end."""
        ramp_s = RAMP_SHARE * seconds
        good = (
            o.candidates
            for o in self.outcomes
            if o.status == 200 and o.latency_s <= deadline_s and ramp_s < o.ended_s <= seconds
        )
        return sum(good) / (seconds - ramp_s)

    @property
    def accepted(self) -> list[Outcome]:
        """Everything but refusals, calls whose deadline passed and failures included."""
        return [o for o in self.outcomes if o.status != 429]

    @property
    def refused(self) -> list[Outcome]:
        """Calls refused with queue_full."""
        return [o for o in self.outcomes if o.status == 429]


async def closed_loop(url: str, supply: Supply, size: int, callers: int, seconds: float) -> float:
    """Candidates a second when `callers` send their next call as soon as they have an answer."""
    done: list[float] = []
    started = time.perf_counter()

    async def caller(http: httpx.AsyncClient) -> None:
        while time.perf_counter() - started < seconds:
            answer = await supply.take().send(http)
            if answer.status_code not in (200, 502):
                raise RuntimeError(f"capacity cannot be measured: {answer.status_code} {answer.text[:300]}")
            done.append(time.perf_counter() - started)

    async with _client(url, 600.0) as http, asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller(http))
    ramp_s = RAMP_SHARE * seconds
    counted = [at for at in done if ramp_s < at <= seconds]
    return size * len(counted) / (seconds - ramp_s)


async def open_loop(
    url: str, supply: Supply, size: int, per_s: float, seconds: float, deadline_s: float, seed: int
) -> list[Outcome]:
    """Calls at Poisson times, however many are unanswered; returns when every one of them is over."""
    arrivals, at_s, dice = [], 0.0, random.Random(seed)
    while (at_s := at_s + dice.expovariate(per_s / size)) < seconds:
        arrivals.append(at_s)
    started = time.perf_counter()

    async def call(http: httpx.AsyncClient, due_s: float, body: Body) -> Outcome:
        sent_s = time.perf_counter() - started
        try:
            answer = await body.send(http)
        except httpx.TransportError:
            return Outcome(due_s, sent_s, time.perf_counter() - started, 0, 0)
        ended_s = time.perf_counter() - started
        if answer.status_code == 429:
            supply.give_back(body)
        candidates = size if answer.status_code == 200 else 0
        return Outcome(due_s, sent_s, ended_s, answer.status_code, candidates)

    tasks: list[asyncio.Task[Outcome]] = []
    async with _client(url, deadline_s + GRACE_S) as http, asyncio.TaskGroup() as group:
        for due_s in arrivals:
            await asyncio.sleep(max(0.0, started + due_s - time.perf_counter()))
            tasks.append(group.create_task(call(http, due_s, supply.take())))
    return [task.result() for task in tasks]


def offer(
    server: ServerProcess,
    supply: Supply,
    size: int,
    times: int,
    capacity: float,
    seconds: float,
    deadline_s: float,
) -> Load:
    """One load from start to the last answer."""
    before = len(server.lines)
    per_s = times * capacity
    outcomes = asyncio.run(open_loop(server.url, supply, size, per_s, seconds, deadline_s, seed=times))
    logged = [json.loads(line) for line in server.lines[before:] if line.startswith("{")]
    refusals = [line["total_s"] for line in logged if line.get("code") == "queue_full"]
    return Load(times, per_s, outcomes, refusals, server.memory())


def show(loads: Sequence[Load], seconds: float, deadline_s: float) -> None:
    """The table and the bars."""
    table = Table(
        "load", "offered/s", "goodput/s", "accepted", "refused", "in time", "p99 accepted s",
        "p99 refusal ms", "at the server ms", "late send ms", "server MiB", "engine MiB",
        title=f"candidates, {seconds:g} s each, deadline {deadline_s:g} s; accepted and refused count calls",
    )  # fmt: skip
    goodputs = {load.times: load.goodput_per_s(seconds, deadline_s) for load in loads}
    accepted_p99 = {load.times: percentile([o.latency_s for o in load.accepted], 0.99) for load in loads}
    for load in loads:
        in_time = sum(o.status == 200 and o.latency_s <= deadline_s for o in load.accepted)
        table.add_row(
            f"{load.times}×",
            f"{load.offered_per_s:.1f}",
            f"{goodputs[load.times]:.1f}",
            str(len(load.accepted)),
            str(len(load.refused)),
            str(in_time),
            f"{accepted_p99[load.times]:.2f}",
            f"{1e3 * percentile([o.latency_s for o in load.refused], 0.99):.1f}",
            f"{1e3 * percentile(load.server_refusals_s, 0.99):.1f}",
            f"{1e3 * percentile([o.sent_s - o.due_s for o in load.outcomes], 0.99):.1f}",
            f"{load.memory.server_mib:.0f}",
            f"{load.memory.others_mib:.0f}",
        )
    console.print(table)
    peak = max(goodputs.values())
    judged = [goodputs[times] / peak for times in JUDGED if times in goodputs]
    GOODPUT_BAR.judge(min(judged, default=math.nan))
    Bar("p99 of accepted calls, the worst load", deadline_s, at_least=False, unit="s").judge(
        max(accepted_p99.values())
    )
    REFUSAL_BAR.judge(
        1e3 * max(percentile([o.latency_s for o in x.refused], 0.99) for x in loads if x.refused)
        if any(load.refused for load in loads)
        else math.nan
    )
    total = [load.memory.server_mib + load.memory.others_mib for load in loads]
    MEMORY_BAR.judge(total[-1] / total[0])


def main(
    seconds: Annotated[float, typer.Option(help="Length of each load.")] = 60.0,
    capacity_seconds: Annotated[float, typer.Option(help="Length of the capacity measurement.")] = 30.0,
    deadline_s: Annotated[float, typer.Option(help="Deadline of every call.")] = 20.0,
    size: Annotated[int, typer.Option(help="Candidates of a call.")] = 4,
    queue_capacity: Annotated[
        int | None, typer.Option(help="Jobs that may wait. Default: from capacity and deadline.")
    ] = None,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints goodput at 1, 2, 4 and 8 times capacity. Bars: 0.95 of the peak, deadlines, refusals 50 ms."""
    end_on_sigterm()
    settings = {"retries": 0, "score_cache_mib": 0}
    window = ServerSettings(model=model).engine_window
    progress.print("rendering edits")
    supply = Supply(size, deadline_s=deadline_s)
    unhurried = Supply(size, seed=6000)
    callers = math.ceil(2.5 * window / size)
    unhurried.stock(callers + int(10 * capacity_seconds))
    with reward_server(model, **settings) as server:
        asyncio.run(closed_loop(server.url, unhurried, size, callers=2, seconds=3.0))
        progress.print(f"capacity, {capacity_seconds:g} s")
        capacity = asyncio.run(closed_loop(server.url, unhurried, size, callers, capacity_seconds))
    capacity_jobs = queue_capacity or int(DEADLINE_SHARE * deadline_s * capacity) - window
    if capacity_jobs < window / 2:
        raise typer.BadParameter(
            f"at {capacity:.1f} candidates/s a full window leaves hardly any room for a queue within "
            f"{deadline_s:g} s; take at least --deadline-s {1.5 * window / DEADLINE_SHARE / capacity:.0f}"
        )
    console.print(f"capacity {capacity:.1f} candidates/s; queue_capacity={capacity_jobs}, window={window}")
    loads = []
    with reward_server(model, queue_capacity=capacity_jobs, **settings) as server:
        asyncio.run(closed_loop(server.url, unhurried, size, callers=2, seconds=3.0))
        for times in LOADS:
            # Enough for what can be accepted, a third over; the refused come back.
            supply.stock(int(1.3 * (capacity * (seconds + deadline_s) + capacity_jobs + window) / size))
            progress.print(f"{times} times capacity, {seconds:g} s")
            loads.append(offer(server, supply, size, times, capacity, seconds, deadline_s))
    show(loads, seconds, deadline_s)
    say_machine()


def _client(url: str, timeout_s: float) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=url, timeout=timeout_s, limits=limits)


if __name__ == "__main__":
    typer.run(main)
