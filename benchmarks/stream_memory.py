"""Does a stream of 20,000 lines leave the server's memory as it was?

    .venv/bin/python benchmarks/stream_memory.py [--lines 20000] [--edits 16]

One POST /v1/score/stream, its answers read while its lines are written. The lines are a few edits over and
over, so that all but the first are answered from the score cache: what is measured is the stream, not the
model. Every line must be answered exactly once. Printed: resident memory of the server process for each
tenth of the run.

Bar: the median of the last tenth is at most 1.05 of that of the second (the first still fills caches).
"""

import asyncio
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rig.calls import base64_request, make_groups
from rig.processes import Memory, ServerProcess, end_on_sigterm, reward_server
from rig.report import Bar, console, progress, say_machine
from rig.streams import Stream, stream

from edit_rrm_server.settings.server import BUNDLED_MODEL

BAR = Bar("server memory, last tenth against the second", 1.05, at_least=False)
SAMPLE_S = 0.2
TENTHS = 10


def keyed(requests: Sequence[bytes]) -> Callable[[int], bytes]:
    """The requests over and over; each lacks its opening brace, which comes with the line's key."""
    return lambda key: b'{"key": %d, %b\n' % (key, requests[key % len(requests)])


async def watched(
    server: ServerProcess, requests: Sequence[bytes], lines: int
) -> tuple[Stream, list[Memory]]:
    """The stream, with the server's memory sampled all the while."""
    samples: list[Memory] = []

    async def sample() -> None:
        while True:
            samples.append(server.memory())
            await asyncio.sleep(SAMPLE_S)

    sampling = asyncio.create_task(sample())
    try:
        found = await stream(server.url, keyed(requests), lines)
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
    if not sampling.cancelled():
        await sampling  # it ended by itself: the server has gone
    return found, samples


def show(found: Stream, samples: Sequence[Memory], lines: int) -> None:
    """The table, the count and the bar."""
    table = Table(
        "tenth", "server min MiB", "median", "max", "engine median",
        title=f"{lines} lines in {found.took_s:.0f} s, {lines / found.took_s:.0f} a second",
    )  # fmt: skip
    tenths = [samples[len(samples) * n // TENTHS : len(samples) * (n + 1) // TENTHS] for n in range(TENTHS)]
    medians = []
    for number, part in enumerate(tenths, start=1):
        server = [memory.server_mib for memory in part]
        medians.append(statistics.median(server))
        engine = statistics.median(memory.others_mib for memory in part)
        cells = (min(server), medians[-1], max(server), engine)
        table.add_row(str(number), *(f"{value:.1f}" for value in cells))
    console.print(table)
    once = found.answered_once(lines)
    console.print(f"answered exactly once: {once} of {lines}; from the score cache: {found.cached}")
    console.print(f"error lines: {dict(found.failures) or 'none'}")
    BAR.judge(medians[-1] / medians[1])


def main(
    lines: Annotated[int, typer.Option(help="Lines of the stream.")] = 20_000,
    edits: Annotated[int, typer.Option(help="Distinct lines among them.")] = 16,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints the server's memory over a long stream. Bar: last tenth at most 1.05 of the second."""
    end_on_sigterm()
    requests = [json.dumps(base64_request(group)).encode()[1:] for group in make_groups(edits, 1)]
    with reward_server(model) as server:
        # An edit whose trace does not parse has no score to keep: it would cost the engine every time.
        first = asyncio.run(stream(server.url, keyed(requests), edits))
        requests = [request for key, request in enumerate(requests) if key not in first.failed_keys]
        if not requests:
            raise RuntimeError(f"no line was scored: {dict(first.failures)}")
        progress.print(f"streaming {lines} lines of {statistics.median(map(len, requests)):.0f} bytes")
        found, samples = asyncio.run(watched(server, requests, lines))
    if len(samples) < 2 * TENTHS:
        raise RuntimeError(f"only {len(samples)} samples of memory: take more lines")
    show(found, samples, lines)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
