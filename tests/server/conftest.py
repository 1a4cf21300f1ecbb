"""Services that start for a test and end with it."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_service import CARD, Running, Start
from scripted_engine import ScriptedEngine

from edit_rrm_server.api.app import create_app
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.life.service import Service
from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts services: `await start(engine=None, load=None, **settings)`; ends them after the test."""
    async with AsyncExitStack() as stack:

        async def begin(
            engine: ScriptedEngine | None = None,
            load: Callable[[], Awaitable[LoadedModel]] | None = None,
            load_from: Callable[[Path], Awaitable[LoadedModel]] | None = None,
            wait: bool = True,
            **settings: Any,
        ) -> Running:
            engine = engine or ScriptedEngine()

            async def loaded(_: Path) -> LoadedModel:
                if load is not None:
                    return await load()
                return LoadedModel(engine, CARD, "0123456789ab", "Qwen2_5_VLForConditionalGeneration", 2048)

            service = Service(ServerSettings(**settings), load_from or loaded)
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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory of two checkpoints."""
    for name in ("old", "new"):
        directory = tmp_path / "root" / name
        directory.mkdir(parents=True)
        for file in ("config.json", "rrm.json", "model.safetensors"):
            shutil.copy(BUNDLED_MODEL / file, directory)
    return tmp_path / "root"
