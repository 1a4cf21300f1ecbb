"""What a score costs through the service, and what the service adds to bare vLLM on the same prompts.

    python benchmarks/latency.py [--model PATH] [--group 24] [--rounds 5]

One process, one engine, one run: the prompts of a group straight to the engine, then a group through
HTTP (the real application over an in-process transport), each round with an edit of its own from the
shapes world, so that no image is known yet. Tokens a second are the ones to compare: traces differ in
length. With a checkpoint whose traces do not parse the bare run's tokens are counted for both.
"""

import asyncio
import os
import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from edit_rrm.images import EditImage, encode_png
from edit_rrm.judges import get_profile
from edit_rrm.principles import Principle, numbered
from edit_rrm.prompts import ImageSlot
from edit_rrm_server.engines.vllm.start import end_forkserver, prepare_environment
from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings
from edit_rrm_shapes.world.dataset import EditRecord, make_edit

SEED = 4000


async def bare(engine: Any, card: Any, edit: EditRecord) -> tuple[float, int]:
    """Seconds and written tokens of a group's prompts, all at once, straight to the engine."""
    from edit_rrm.verdict_probability import VERDICT_TEXTS
    from edit_rrm.wire import Sampling
    from edit_rrm_server.scoring.sampling import sampling_of

    prompt = get_profile(card.profile).verify(edit.request.instruction, principles(edit))
    source = EditImage.from_pil(edit.picture())
    images = [{ImageSlot.SOURCE: source, ImageSlot.CANDIDATE: c} for c in candidates(edit)]
    draw = sampling_of(card.sampling, Sampling())
    started = time.perf_counter()
    completions = await asyncio.gather(*(engine.generate(prompt, i, draw, VERDICT_TEXTS) for i in images))
    return time.perf_counter() - started, sum(c.completion_tokens for c in completions)


async def answered(
    http: httpx.AsyncClient, edit: EditRecord, given: tuple[Principle, ...]
) -> tuple[float, httpx.Response]:
    """Seconds of one score call by these principles, guards off and files included, and its answer."""
    pictures = [edit.picture(), *(candidate.picture() for candidate in edit.candidates)]
    files = {f"i{n}": ("image.png", encode_png(image), "image/png") for n, image in enumerate(pictures)}
    source, *parts = [{"part": name} for name in files]
    body = {
        "instruction": edit.request.instruction,
        "source": source,
        "candidates": parts,
        "guards": "off",
        **({"principles": [principle.model_dump(mode="json") for principle in given]} if given else {}),
    }
    request = httpx.Request(
        "POST", "http://service/v1/score", files={**files, "request": (None, _json(body))}
    )
    started = time.perf_counter()
    response = await http.send(request)
    return time.perf_counter() - started, response


async def through_http(http: httpx.AsyncClient, edit: EditRecord) -> tuple[float, int | None]:
    """Seconds of one score call, files included, and the tokens written, if it could be scored."""
    took_s, response = await answered(http, edit, principles(edit))
    if response.status_code not in (200, 502):
        raise RuntimeError(response.text)
    scored = response.status_code == 200
    return took_s, response.json()["usage"]["completion_tokens"] if scored else None


def principles(edit: EditRecord) -> tuple[Principle, ...]:
    """The gold principles of an edit."""
    return numbered((check.category, check.question) for check in edit.checks)


def candidates(edit: EditRecord) -> list[EditImage]:
    """Its edited images."""
    return [EditImage.from_pil(candidate.picture()) for candidate in edit.candidates]


def _json(body: dict[str, Any]) -> bytes:
    return httpx.Request("POST", "http://service", json=body).read()


async def compare(settings: ServerSettings, group: int, rounds: int) -> Table:
    """Runs everything and returns the table."""
    from edit_rrm_server.api.app import create_app
    from edit_rrm_server.engines.vllm.loading import load_vllm_model
    from edit_rrm_server.life.service import Service
    from edit_rrm_server.scoring.warm_up import warm_up

    console = Console(stderr=True)
    service = Service(settings, lambda _: load_vllm_model(settings, console.print, warm_up))
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
                direct.append(await bare(engine, card, make_edit(SEED, index, count)))
                took_s, written = await through_http(http, make_edit(SEED, rounds + index, count))
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
