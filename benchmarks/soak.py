"""Hours of mixed traffic with faults: is anything lost, anything wrong, does anything grow?

    python benchmarks/soak.py [--minutes 120] [--fault-every 10] [--json FILE]

Groups as trainers send them, a bulk stream, single calls of people, calls that are left, bad input; every so
often the weights are reloaded, or the engine is killed, in turn. Every reward is compared with that of the
quiet service before. At the end: calls by kind, those lost and those that differ, how long until ready after
each fault, memory and the 99th percentile by quarters. Bundled model, real vLLM, no score cache.
"""

import asyncio
import contextlib
import itertools
import json
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table
from rig.calls import Group, base64_request, make_groups
from rig.checked_load import PATIENT, same_rewards
from rig.processes import ServerProcess, end_on_sigterm, reward_server
from rig.report import Bar, console, percentile, say_machine
from rig.service_faults import RELOADABLE, kill_engine, ready_again, reload

from edit_rrm_client import AsyncRewardClient, EditRRMClientError
from edit_rrm_server.settings.server import BUNDLED_MODEL

GROUPS, SIZE = 24, 6
QUARTERS = 4


@dataclass
class Found:
    """What happened so far."""

    begun_at: float = field(default_factory=time.monotonic)
    calls: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)  # candidates, of calls that were answered
    examples: list[str] = field(default_factory=list)
    took: list[tuple[float, float]] = field(default_factory=list)  # when, how long a single call took
    memory: list[tuple[float, float, float]] = field(default_factory=list)  # when, server, others in MiB
    ready_after: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def lose(self, kind: str, why: object) -> None:
        """A call got no answer, or not the one it should."""
        self.lost[kind] += 1
        self.examples.append(f"{kind}: {why}")

    def compare(self, kind: str, rewards: list[float | None], expected: list[float | None]) -> None:
        """An answer beside the reference's. A candidate that failed has no reward, which is none too many."""
        pairs = list(zip(rewards, expected, strict=True))
        self.failed[kind] += sum(a is None and b is not None for a, b in pairs)
        if not same_rewards(rewards, expected):
            self.different[kind] += 1
            self.examples.append(f"{kind}: {rewards} instead of {expected}")


class Soak:
    """The traffic against one service."""

    def __init__(self, server: ServerProcess, client: AsyncRewardClient) -> None:
        self._server = server
        self._client = client
        self._ends_at = math.inf
        self.found = Found()
        self._groups = make_groups(GROUPS, SIZE)
        self._expected: list[list[float | None]] = []

    async def learn(self) -> None:
        """The reference: every group alone."""
        for group in self._groups:
            self._expected.append(await self._rewards(group))

    async def run(self, span_s: float, fault_every_s: float) -> None:
        """All of it at once, for so long."""
        self.found = Found()
        self._ends_at = self.found.begun_at + span_s
        kinds: dict[str, tuple[Callable[[int], Awaitable[None]], float, int]] = {
            "group": (self._group, 0.5, 4),
            "single": (self._single, 1.0, 1),
            "left": (self._left, 2.0, 1),
            "bad": (self._bad, 2.0, 1),
            "stream": (self._stream, 1.0, 1),
        }
        async with asyncio.TaskGroup() as tasks:
            for kind, (call, pause_s, at_once) in kinds.items():
                for worker in range(at_once):
                    tasks.create_task(self._again(kind, call, pause_s, worker))
            tasks.create_task(self._faults(fault_every_s))
            tasks.create_task(self._memory())

    async def _again(
        self, kind: str, call: Callable[[int], Awaitable[None]], pause_s: float, seed: int
    ) -> None:
        dice = random.Random(f"{kind}-{seed}")
        while time.monotonic() < self._ends_at:
            self.found.calls[kind] += 1
            try:
                await call(dice.randrange(GROUPS))
            except (EditRRMClientError, httpx.HTTPError) as error:
                self.found.lose(kind, repr(error))
            await asyncio.sleep(dice.uniform(0, 2 * pause_s))

    async def _rewards(self, group: Group, count: int | None = None) -> list[float | None]:
        answer = await self._client.score(
            group.instruction, group.source, group.candidates[:count], principles=group.principles
        )
        return [result.reward for result in answer.results]

    async def _group(self, number: int) -> None:
        self.found.compare("group", await self._rewards(self._groups[number]), self._expected[number])

    async def _single(self, number: int) -> None:
        started = time.monotonic()
        rewards = await self._rewards(self._groups[number], 1)
        self.found.took.append((started, time.monotonic() - started))
        self.found.compare("single", rewards, self._expected[number][:1])

    async def _left(self, number: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await self._rewards(self._groups[number])

    async def _bad(self, number: int) -> None:
        body = base64_request(self._groups[number])
        body["candidates"] = [{"b64": body["candidates"][0]["b64"][:-40] + "AAAA"}]
        async with httpx.AsyncClient(timeout=600.0) as http:
            answer = await http.post(f"{self._server.url}/v1/score", json=body)
        if answer.status_code not in (422, 503):
            self.found.lose("bad", answer.text[:200])

    async def _stream(self, first: int) -> None:
        """A hundred lines in one request; those that a dead engine failed again, as bulk scoring does."""
        left = {line: (first + line) % GROUPS for line in range(100)}
        for _ in range(60):
            bodies = [
                {**base64_request(self._groups[n], guards="enforce"), "key": line} for line, n in left.items()
            ]
            async with httpx.AsyncClient(timeout=600.0) as http:
                try:
                    answers = await self._lines(http, bodies)
                except httpx.HTTPError:
                    answers = []
            for answer in answers:
                if "error" in answer and answer["error"]["status"] in (429, 502, 503):
                    continue
                number = left.pop(int(answer["key"]))
                if "error" in answer:
                    self.found.lose("stream", answer["error"])
                    continue
                rewards = [result["reward"] for result in answer["results"]]
                self.found.compare("stream", rewards, self._expected[number])
            if not left or time.monotonic() > self._ends_at + 300:
                break
            await asyncio.sleep(2.0)
        if left:
            self.found.lose("stream", f"{len(left)} lines without an answer")

    async def _lines(self, http: httpx.AsyncClient, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        content = "".join(json.dumps(body) + "\n" for body in bodies)
        headers = {"content-type": "application/x-ndjson"}
        answer = await http.post(f"{self._server.url}/v1/score/stream", content=content, headers=headers)
        found = [json.loads(text) for text in answer.text.splitlines()] if answer.status_code == 200 else []
        return [line for line in found if line["key"] is not None]

    async def _faults(self, every_s: float) -> None:
        for fault in itertools.cycle((self._reload, self._kill)):
            await asyncio.sleep(every_s)
            if time.monotonic() > self._ends_at - every_s / 4:
                return
            started = time.monotonic()
            await fault()
            await ready_again(self._server.url)
            self.found.ready_after[fault.__name__.strip("_")].append(time.monotonic() - started)

    async def _reload(self) -> None:
        if (code := await reload(self._server)) != "ok":
            self.found.lose("reload", code)

    async def _kill(self) -> None:
        await kill_engine(self._server)

    async def _memory(self) -> None:
        while time.monotonic() < self._ends_at:
            memory = self._server.memory()
            self.found.memory.append((time.monotonic(), memory.server_mib, memory.others_mib))
            await asyncio.sleep(10.0)


def by_quarter(found: Found, span_s: float) -> list[list[str]]:
    """The 99th percentile of single calls and the median of memory, quarter by quarter."""
    rows = []
    for quarter in range(QUARTERS):
        low = found.begun_at + span_s * quarter / QUARTERS
        high = low + span_s / QUARTERS
        took = [s for at, s in found.took if low <= at < high]
        server = [mib for at, mib, _ in found.memory if low <= at < high]
        others = [mib for at, _, mib in found.memory if low <= at < high]
        figures = (percentile(took, 0.5), percentile(took, 0.99), percentile(server, 0.5))
        rows.append([str(quarter + 1), *(f"{f:.2f}" for f in figures), f"{percentile(others, 0.5):.0f}"])
    return rows


async def soak(server: ServerProcess, span_s: float, fault_every_s: float) -> Found:
    """The whole run."""
    async with AsyncRewardClient(server.url, retries=PATIENT, timeout_s=900.0) as client:
        running = Soak(server, client)
        await running.learn()
        await running.run(span_s, fault_every_s)
        return running.found


def main(
    minutes: Annotated[float, typer.Option(min=1.0)] = 120.0,
    fault_every: Annotated[float, typer.Option(min=0.5, help="Minutes between faults.")] = 10.0,
    json_to: Annotated[Path | None, typer.Option("--json", help="Where the figures go.")] = None,
) -> None:
    """See the module."""
    end_on_sigterm()
    say_machine()
    with reward_server(BUNDLED_MODEL, score_cache_mib=0, **RELOADABLE) as server:
        found = asyncio.run(soak(server, 60 * minutes, 60 * fault_every))
    calls = Table("kind", "calls", "lost", "different", "candidates failed")
    for kind, count in found.calls.items():
        counts = (count, found.lost[kind], found.different[kind], found.failed[kind])
        calls.add_row(kind, *(str(one) for one in counts))
    console.print(calls)
    quarters = Table("quarter", "median s", "p99 s", "server MiB", "engine MiB")
    rows = by_quarter(found, 60 * minutes)
    for row in rows:
        quarters.add_row(*row)
    console.print(quarters)
    for fault, seconds in found.ready_after.items():
        console.print(f"ready after {fault}: {', '.join(f'{s:.1f}' for s in seconds)} s")
    for example in found.examples[:10]:
        console.print(example, markup=False)
    if json_to is not None:
        figures = {
            "minutes": minutes, "calls": found.calls, "lost": found.lost, "different": found.different,
            "candidates_failed": found.failed,
            "quarters": rows, "ready_after_s": found.ready_after,
        }  # fmt: skip
        json_to.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    Bar("calls lost", 0, at_least=False).judge(found.lost.total())
    Bar("rewards that differ", 0, at_least=False).judge(found.different.total())
    growth = float(rows[-1][3]) / float(rows[1][3])
    Bar("server memory, last quarter / second", 1.05, at_least=False).judge(growth)


if __name__ == "__main__":
    typer.run(main)
