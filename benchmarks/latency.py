"""What a score costs through the service, and what the service adds to bare vLLM on the same prompts.

    python benchmarks/latency.py [--model PATH] [--group 24] [--rounds 5]

One process, one engine, one run: first the prompts of a group straight to the engine, then the same
group through HTTP (the real application over an in-process transport), each round with pictures of
its own so that no image is known yet. With an untrained checkpoint traces do not parse; tokens a
second are still right, since retries are off.
"""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from edit_rrm.images import EditImage, encode_png
from edit_rrm.principles import Principle, numbered
from edit_rrm.profiles import get_profile
from edit_rrm.prompts import ImageSlot
from edit_rrm_server.settings import BUNDLED_MODEL, ServerSettings
from edit_rrm_server.vllm_start import end_forkserver, prepare_environment

INSTRUCTION = "make the red circle blue"
PRINCIPLES = numbered(
    [
        ("follow", "is the top right a blue circle?"),
        ("keep", "is the background still gray?"),
        ("keep", "is the center still a green square?"),
        ("quality", "is it clean, without noise or blur?"),
    ]
)


def pictures(count: int, seed: int) -> list[Image.Image]:
    """Noise of 96 x 96 pixels, never seen before."""
    rng = random.Random(seed)
    return [Image.frombytes("RGB", (96, 96), rng.randbytes(96 * 96 * 3)) for _ in range(count)]


async def bare(engine: Any, card: Any, images: Sequence[Image.Image]) -> tuple[float, int]:
    """Seconds and written tokens of a group's prompts, all at once, straight to the engine."""
    from edit_rrm.wire import Sampling
    from edit_rrm_server.drawing import base_draw
    from edit_rrm_server.judging import VERDICT_TEXTS

    prompt = get_profile(card.profile).verify(INSTRUCTION, PRINCIPLES)
    source, *candidates = [EditImage.from_pil(image) for image in images]
    draw = base_draw(Sampling(), card.sampling)
    started = time.perf_counter()
    completions = await asyncio.gather(
        *(
            engine.generate(prompt, {ImageSlot.SOURCE: source, ImageSlot.CANDIDATE: c}, draw, VERDICT_TEXTS)
            for c in candidates
        )
    )
    return time.perf_counter() - started, sum(c.completion_tokens for c in completions)


async def through_http(
    http: httpx.AsyncClient, images: Sequence[Image.Image], principles: Sequence[Principle]
) -> tuple[float, int | None]:
    """Seconds of one score call, files included, and the tokens written, if it could be scored."""
    files = {
        f"i{number}": ("image.png", encode_png(image), "image/png") for number, image in enumerate(images)
    }
    source, *candidates = [{"part": name} for name in files]
    body = {
        "instruction": INSTRUCTION,
        "source": source,
        "candidates": candidates,
        "principles": [principle.model_dump(mode="json") for principle in principles],
        "guards": "off",
    }
    request = httpx.Request(
        "POST", "http://service/v1/score", files={**files, "request": (None, _json(body))}
    )
    started = time.perf_counter()
    response = await http.send(request)
    took_s = time.perf_counter() - started
    if response.status_code not in (200, 502):
        raise RuntimeError(response.text)
    scored = response.status_code == 200
    return took_s, response.json()["usage"]["completion_tokens"] if scored else None


def _json(body: dict[str, Any]) -> bytes:
    return httpx.Request("POST", "http://service", json=body).read()


async def compare(settings: ServerSettings, group: int, rounds: int) -> Table:
    """Runs everything and returns the table."""
    from edit_rrm_server.app import create_app
    from edit_rrm_server.service import Service
    from edit_rrm_server.vllm_engine import load_vllm_model

    console = Console(stderr=True)
    service = Service(settings, lambda: load_vllm_model(settings, console.print))
    app = create_app(service)
    service.start()
    await service.load_ended.wait()
    if service.failure is not None:
        raise service.failure
    table = Table("", "median s", "traces/s", "tokens/s", title=service.model.name)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=600) as http:
        for count in (1, group):
            direct, served = [], []
            for index in range(rounds):
                engine, card = service.model.engine, service.model.card
                direct.append(await bare(engine, card, pictures(count + 1, index)))
                took_s, written = await through_http(http, pictures(count + 1, 1000 + index), PRINCIPLES)
                served.append((took_s, direct[-1][1] if written is None else written))
            for what, runs in (("bare vLLM", direct), ("service", served)):
                median_s = statistics.median(took_s for took_s, _ in runs)
                tokens_per_s = sum(written for _, written in runs) / sum(took_s for took_s, _ in runs)
                cells = (f"{median_s:.3f}", f"{count / median_s:.1f}", f"{tokens_per_s:.0f}")
                table.add_row(f"{what}, {count} a call", *cells)
    await service.stop()
    return table


def main(
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
    group: Annotated[int, typer.Option(help="Candidates of a group.")] = 24,
    rounds: Annotated[int, typer.Option(help="Calls of each kind.")] = 5,
) -> None:
    """Prints the table."""
    settings = ServerSettings(model=model, retries=0)
    prepare_environment(settings)
    try:
        Console().print(asyncio.run(compare(settings, group, rounds)))
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        Console().print(f"{len(os.sched_getaffinity(0))} cores, load average {load}")
    finally:
        end_forkserver()


if __name__ == "__main__":
    typer.run(main)
