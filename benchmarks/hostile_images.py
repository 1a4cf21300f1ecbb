"""What do files that are no honest image come to, and what do they cost others?

    .venv/bin/python benchmarks/hostile_images.py [--files 1100] [--limit-s 3600] [--out FILE]

Files from a seed (rig/hostile_files.py) as a candidate through JSON, a form and a stream of the real server
with the real engine, guards off. Bars: each is told the same at every door, a code of the image door or what
the judge said; the server's memory grows by less than 256 MiB over the files; 99 % of /health under 50 ms and
none over 100 ms. Shown by kind of file: how many were refused by which code, how many scored.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.progress import Progress
from rich.table import Table
from rig.figures import Out, bar_met, write_figures
from rig.hostile_calls import REFUSALS, told_at_each_door
from rig.hostile_files import hostile_files
from rig.prober import Prober
from rig.processes import ServerProcess, end_on_sigterm, reward_server
from rig.report import Bar, console, percentile, progress, say_machine

from edit_rrm_server.settings.server import BUNDLED_MODEL

SAME_BAR = Bar("files that two doors told differently of", 0, at_least=False)
UNKNOWN_BAR = Bar("files with a word that neither the image door nor the judge says", 0, at_least=False)
MEMORY_BAR = Bar("growth of the server's memory at its peak", 256, at_least=False, unit="MiB")
HEALTH_BAR = Bar("/health p99", 50.0, at_least=False, unit="ms")
STALL_BAR = Bar("slowest /health", 100.0, at_least=False, unit="ms")
HEALTH_PAUSE_S = 0.02
LET_THROUGH = frozenset({"a score", "trace_unparseable", "trace_truncated"})
"""The image was decoded: the judge, who may never have seen the like, was asked."""
MEMORY_EVERY = 25
AT_ONCE = 4


@dataclass(frozen=True)
class Told:
    """What each door said of a file."""

    kind: str
    words: tuple[str, ...]


async def send(
    server: ServerProcess, count: int, seed: int, limit_s: float
) -> tuple[list[Told], list[float]]:
    """What was told of each file, and the server's memory (MiB) before and between them."""
    told: list[Told] = []
    memory = [server.memory().server_mib]
    until = time.monotonic() + limit_s
    files = hostile_files(count, seed)
    async with httpx.AsyncClient(base_url=server.url, timeout=600.0) as http:
        with Progress(console=progress) as shown:
            task = shown.add_task("files", total=count)

            async def client() -> None:
                for file in files:
                    told.append(Told(file.kind, tuple(await told_at_each_door(http, file.content))))
                    shown.advance(task)
                    if len(told) % MEMORY_EVERY == 0:
                        memory.append(server.memory().server_mib)
                    if time.monotonic() > until:
                        break

            await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return told, memory


def main(
    files: Annotated[int, typer.Option(help="Files, each of which is sent three times.")] = 300,
    limit_s: Annotated[float, typer.Option(help="Ends after this time, however many were sent.")] = 3600.0,
    seed: Annotated[int, typer.Option(help="Of the files.")] = 1,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
    out: Out = None,
) -> None:
    """Prints what files of each kind came to. Bars: one word at every door, memory, /health."""
    end_on_sigterm()
    with (
        reward_server(model, retries=0) as server,
        Prober(server.url, "/health", None, HEALTH_PAUSE_S) as prober,
    ):
        told, memory = asyncio.run(send(server, files, seed, limit_s))
        health_s = [sample.took_s for sample in prober.end()]
    counted = Counter((each.kind, _word(each.words[0])) for each in told)
    table = Table("kind of file", "told", "files")
    for (kind, word), count in sorted(counted.items()):
        table.add_row(kind, word, str(count))
    console.print(table)
    different = [each for each in told if len(set(each.words)) > 1]
    for each in different[:20]:
        console.print(f"{each.kind}: {', '.join(each.words)}", markup=False)
    unknown = sum(any(_word(word) not in REFUSALS | LET_THROUGH for word in each.words) for each in told)
    console.print(f"{3 * len(told)} requests of {len(told)} files; {len(health_s)} of /health")
    measured = {
        SAME_BAR: len(different),
        UNKNOWN_BAR: unknown,
        MEMORY_BAR: max(memory) - memory[0],
        HEALTH_BAR: 1e3 * percentile(health_s, 0.99),
        STALL_BAR: 1e3 * max(health_s),
    }
    for bar, value in measured.items():
        bar.judge(value)
    stalls = sum(1e3 * took_s > STALL_BAR.limit for took_s in health_s)
    console.print(f"memory of the server at its peak: {max(memory):.0f} MiB; {stalls} of /health over 100 ms")
    write_figures(
        out,
        {
            "files": len(told),
            "requests": 3 * len(told),
            "told": [
                {"kind": kind, "told": word, "files": count}
                for (kind, word), count in sorted(counted.items())
            ],
            "health_requests": len(health_s),
            "health_over_100_ms": stalls,
            "bars": [bar_met(bar, value) for bar, value in measured.items()],
        },
    )
    say_machine()


def _word(told: str) -> str:
    return "a score" if told.startswith("reward ") else told


if __name__ == "__main__":
    typer.run(main)
