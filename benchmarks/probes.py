"""Do the probe and the refusal stay quick while the service is at its busiest?

    .venv/bin/python benchmarks/probes.py [--refusals 200]

First /health, asked every 5 ms from a process of its own, while one call of 64 images of 20 megapixels is
decoded, as PNG and as JPEG; the images are alike, so that a guard settles the call and the engine stays
out of it. Bar: 99th percentile under 20 ms from the moment the body has been sent. Then the refusal of
a group of 24 while the engine is saturated and the queue full: from its first byte sent to the 429
read. Bar: 99th percentile under 50 ms. At last /health while small bodies of much structure come, one after
the other: a JSON object of 100,000 fields, 200,000 lines of a stream that are no JSON, a form of 60,000
boundaries. Bar: none waits 100 ms.
"""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal

import httpx
import typer
from PIL import Image
from rich.table import Table
from rig.calls import Body, Supply, make_groups, multipart
from rig.prober import Prober, Sample
from rig.processes import end_on_sigterm, reward_server
from rig.report import Bar, console, percentile, progress, say_machine

from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings

HEALTH_BAR = Bar("/health p99 while 64 images decode, the slower format", 20.0, at_least=False, unit="ms")
REFUSAL_BAR = Bar("p99 of a refusal", 50.0, at_least=False, unit="ms")
STRUCTURE_BAR = Bar("/health, slowest while bodies of much structure come", 100.0, at_least=False, unit="ms")
SIZE = (5000, 4000)
CANDIDATES = 63
QUEUE_CAPACITY = 64
CALL_SIZE = 4
HEALTH_PAUSE_S, REFUSAL_PAUSE_S = 0.005, 0.02
CHUNK_BYTES = 2**18
Format = Literal["PNG", "JPEG"]


def large_call(format_: Format) -> Body:
    """A source and 63 candidates of 20 megapixels, the same picture 64 times. A byte after its end makes each
    another file, so that each is decoded for itself."""
    (group,) = make_groups(1, 1)
    buffer = io.BytesIO()
    group.source.resize(SIZE, Image.Resampling.NEAREST).save(buffer, format_)
    files = {f"i{n}": ("image", buffer.getvalue() + bytes([n]), "image/any") for n in range(1 + CANDIDATES)}
    source, *candidates = [{"part": name} for name in files]
    request = {
        "instruction": group.instruction,
        "source": source,
        "candidates": candidates,
        "principles": [principle.model_dump(mode="json") for principle in group.principles],
    }
    json_bytes = httpx.Request("POST", "http://service", json=request).read()
    form = httpx.Request("POST", "http://service", files={**files, "request": (None, json_bytes)})
    return Body(form.read(), form.headers["Content-Type"])


def bodies_of_structure() -> dict[str, tuple[str, Body, int]]:
    """Small bodies of as much structure as they can hold: where they go, and the status they come to."""
    fields = b"{" + b",".join(b'"f%d":1' % n for n in range(100_000)) + b"}"
    boundaries = b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"\r\n--X." * 60_000
    form = Body(boundaries, "multipart/form-data; boundary=X")
    return {
        "100,000 fields": ("/v1/score", Body(fields, "application/json"), 422),
        "200,000 lines": ("/v1/score/stream", Body(b"x\n" * 200_000, "application/x-ndjson"), 200),
        "60,000 boundaries": ("/v1/score", form, 400),
    }


def health_while_structure(url: str, path: str, body: Body, status: int, seconds: float) -> list[float]:
    """Latencies of /health in seconds while the body is sent again and again."""
    with (
        Prober(url, "/health", None, HEALTH_PAUSE_S) as prober,
        httpx.Client(base_url=url, timeout=600) as http,
    ):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            answer = http.post(path, content=body.content, headers={"Content-Type": body.content_type})
            if answer.status_code != status:
                raise RuntimeError(f"expected {status}: {answer.status_code} {answer.text[:300]}")
        return [sample.took_s for sample in prober.end()]


async def upload(url: str, body: Body) -> tuple[float, float]:
    """Sends the call; when its last byte was handed over and when the answer came (monotonic seconds)."""
    uploaded_at = 0.0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal uploaded_at
        for start in range(0, len(body.content), CHUNK_BYTES):
            yield body.content[start : start + CHUNK_BYTES]
        uploaded_at = time.monotonic()

    headers = {"Content-Type": body.content_type, "Content-Length": str(len(body.content))}
    async with httpx.AsyncClient(base_url=url, timeout=600.0) as http:
        answer = await http.post("/v1/score", content=chunks(), headers=headers)
    if answer.status_code != 200:
        raise RuntimeError(f"the large call failed: {answer.status_code} {answer.text[:300]}")
    return uploaded_at, time.monotonic()


def health_while_decoding(url: str, body: Body, idle_s: float) -> dict[str, list[float]]:
    """Latencies of /health in seconds: idle, while the body arrives, while its images decode."""
    with Prober(url, "/health", None, HEALTH_PAUSE_S) as prober:
        time.sleep(idle_s)
        began_at = time.monotonic()
        uploaded_at, ended_at = asyncio.run(upload(url, body))
        samples = prober.end()
    spans = {
        "idle": (0.0, began_at),
        "body arriving": (began_at, uploaded_at),
        "decoding": (uploaded_at, ended_at),
    }
    return {
        name: [s.took_s for s in samples if since <= s.sent_at < until]
        for name, (since, until) in spans.items()
    }


async def refusals_when_full(
    url: str, supply: Supply, probe: Body, window: int, fill_s: float, count: int
) -> list[Sample]:
    """Refusals of `probe` while enough callers keep the window and the queue full."""
    callers = (window + QUEUE_CAPACITY) // CALL_SIZE + 8
    limits = httpx.Limits(max_connections=None)

    async def caller(http: httpx.AsyncClient) -> None:
        while True:
            body = supply.take()
            answer = await body.send(http)
            if answer.status_code == 429:
                supply.give_back(body)
                await asyncio.sleep(0.1)
            elif answer.status_code not in (200, 502):
                raise RuntimeError(f"a call failed: {answer.status_code} {answer.text[:300]}")

    async with httpx.AsyncClient(base_url=url, timeout=600.0, limits=limits) as http:
        filling = [asyncio.create_task(caller(http)) for _ in range(callers)]
        try:
            await asyncio.sleep(fill_s)
            samples = await asyncio.to_thread(_probe_full, url, probe, count)
            failed = [task for task in filling if task.done()]
            if failed:
                await failed[0]
        finally:
            for task in filling:
                task.cancel()
            await asyncio.gather(*filling, return_exceptions=True)
    return samples


def _probe_full(url: str, probe: Body, count: int) -> list[Sample]:
    with Prober(url, "/v1/score", probe, REFUSAL_PAUSE_S) as prober:
        return prober.wait_for(count)


def main(
    refusals: Annotated[int, typer.Option(help="Refusals to time.")] = 200,
    idle_s: Annotated[float, typer.Option(help="How long /health is asked at idle before each call.")] = 3.0,
    fill_s: Annotated[float, typer.Option(help="How long callers fill engine and queue before.")] = 8.0,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints p50 and p99 of /health and of refusals under load. Bars: 20, 50 and 100 ms."""
    end_on_sigterm()
    progress.print("drawing large images, rendering edits")
    formats: tuple[Format, ...] = ("PNG", "JPEG")
    large = {name: large_call(name) for name in formats}
    (group,) = make_groups(1, 24, seed=6000)
    supply = Supply(CALL_SIZE)
    supply.stock(200)
    table = Table("", "requests", "p50 ms", "p99 ms", "max ms")
    slowest_s, window = 0.0, ServerSettings(model=model).engine_window

    def add_row(name: str, took_s: list[float]) -> None:
        cells = [percentile(took_s, share) for share in (0.5, 0.99, 1.0)]
        table.add_row(name, str(len(took_s)), *(f"{1e3 * value:.1f}" for value in cells))

    with reward_server(model, queue_capacity=QUEUE_CAPACITY, retries=0, score_cache_mib=0) as server:
        for name, body in large.items():
            progress.print(f"64 images of 20 megapixels, {name}, {len(body.content) / 2**20:.0f} MiB")
            for when, took_s in health_while_decoding(server.url, body, idle_s).items():
                add_row(f"/health, {name} {when}", took_s)
                if when == "decoding":
                    slowest_s = max(slowest_s, percentile(took_s, 0.99))
        slowest_of_structure_s = 0.0
        for structure, (path, body, status) in bodies_of_structure().items():
            progress.print(f"{structure} in {len(body.content) / 2**20:.1f} MiB")
            took_s = health_while_structure(server.url, path, body, status, idle_s)
            add_row(f"/health, {structure}", took_s)
            slowest_of_structure_s = max(slowest_of_structure_s, *took_s)
        progress.print("engine saturated, queue full")
        work = refusals_when_full(server.url, supply, multipart(group), window, fill_s, refusals)
        samples = asyncio.run(work)
    refused = [sample.took_s for sample in samples if sample.status == 429]
    add_row("refusal of a group of 24", refused)
    console.print(table)
    console.print(f"{len(samples) - len(refused)} of {len(samples)} groups found room and are left out")
    HEALTH_BAR.judge(1e3 * slowest_s)
    REFUSAL_BAR.judge(1e3 * percentile(refused, 0.99))
    STRUCTURE_BAR.judge(1e3 * slowest_of_structure_s)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
