"""The real application around a scripted engine, reached in process; and small pictures to score."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image, ImageDraw
from scripted_engine import ScriptedEngine

from edit_rrm.checkpoint import RRMCard
from edit_rrm_server.app import create_app
from edit_rrm_server.service import LoadedModel, Service
from edit_rrm_server.settings import ServerSettings

CARD = RRMCard(name="scripted", profile="trained", trace_format="1", max_image_side=64)


class Running:
    """A started service, its engine, and a client of its application."""

    def __init__(
        self, service: Service, app: FastAPI, engine: ScriptedEngine, http: httpx.AsyncClient
    ) -> None:
        self.service = service
        self.app = app
        self.engine = engine
        self.http = http

    async def score(self, **fields: Any) -> httpx.Response:
        """POST /v1/score with one candidate unless told otherwise."""
        return await self.http.post("/v1/score", json=score_body(**fields))

    def assert_idle(self) -> None:
        """Nothing queued, nothing running, and a score could run now."""
        assert (self.service.batcher.waiting_jobs, self.service.batcher.jobs_in_flight) == (0, 0)
        assert self.engine.running == 0
        assert self.service.active_calls == 0
        assert self.service.state == "ready"


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts services: `await start(engine=None, load=None, **settings)`; ends them after the test."""
    async with AsyncExitStack() as stack:

        async def begin(
            engine: ScriptedEngine | None = None,
            load: Callable[[], Awaitable[LoadedModel]] | None = None,
            wait: bool = True,
            **settings: Any,
        ) -> Running:
            engine = engine or ScriptedEngine()

            async def loaded() -> LoadedModel:
                return LoadedModel(engine, CARD, "0123456789ab", "Qwen2_5_VLForConditionalGeneration", 2048)

            service = Service(ServerSettings(**settings), load or loaded)
            app = create_app(service)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            http = await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://service")
            )
            service.start()
            stack.push_async_callback(service.stop)
            if wait:
                await service.load_ended.wait()
            return Running(service, app, engine, http)

        yield begin


@pytest.fixture
async def running(start: Start) -> Running:
    """A ready service with default settings and a well-behaved engine."""
    return await start()


async def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """Waits until the condition holds; fails if it does not."""
    async with asyncio.timeout(within_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


def picture(colour: tuple[int, int, int] = (220, 30, 30), size: tuple[int, int] = (48, 48)) -> Image.Image:
    """A grey picture with a disc of `colour`."""
    image = Image.new("RGB", size, (128, 128, 128))
    ImageDraw.Draw(image).ellipse((10, 10, 36, 36), fill=colour)
    return image


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def b64(data: bytes) -> dict[str, str]:
    """An image of the API from a file's bytes."""
    return {"b64": base64.b64encode(data).decode()}


RED, BLUE = png(picture()), png(picture((30, 30, 220)))
PRINCIPLES = [
    {"id": "p1", "question": "Is the circle blue?", "category": "follow"},
    {"id": "p2", "question": "Is the background the same?", "category": "keep"},
]


def score_body(**fields: Any) -> dict[str, Any]:
    """A score request: red circle, blue candidate, two principles; `fields` replace, None removes."""
    body: dict[str, Any] = {
        "instruction": "make the red circle blue",
        "source": b64(RED),
        "candidates": [b64(BLUE)],
        "principles": PRINCIPLES,
        **fields,
    }
    return {name: value for name, value in body.items() if value is not None}
