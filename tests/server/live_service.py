"""The real application around a scripted engine, listening on a free port: for callers with a real socket."""

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from running_service import CARD
from scripted_engine import ScriptedEngine

from edit_rrm.checkpoint import RRMCard
from edit_rrm.judges.judge import Judge
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.event_loop import run_to_end
from edit_rrm_server.life.service import Service
from edit_rrm_server.process.serving import http_config
from edit_rrm_server.settings.server import ServerSettings

T = TypeVar("T")
_LIMIT_S = 60.0


class LiveService:
    """Runs in a thread of its own; a context manager. The model is loaded once `release` is called."""

    def __init__(
        self,
        engine: ScriptedEngine,
        *,
        card: RRMCard = CARD,
        judge: Judge | None = None,
        loaded: bool = True,
        **settings: Any,
    ) -> None:
        self.engine = engine
        self._card = card
        self._judge = judge
        self._release = threading.Event()
        if loaded:
            self._release.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.service = Service(ServerSettings(**settings), self._load)
        config = http_config(self.service)
        config.timeout_graceful_shutdown = 1
        self._server = uvicorn.Server(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: run_to_end(self._serve()))

    def __enter__(self) -> "LiveService":
        self._thread.start()
        assert self._started.wait(_LIMIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()

    def release(self) -> None:
        """Lets the model be loaded."""
        self._release.set()

    def call(self, work: Callable[[], T]) -> T:
        """What `work` gives in the service's loop, to which engine and batcher belong."""
        assert self._loop is not None

        async def inside() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(_LIMIT_S)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await self._server.serve(sockets=[self._listening])

    async def _load(self, checkpoint: Path) -> LoadedModel:
        await asyncio.to_thread(self._release.wait)
        return LoadedModel(
            self.engine,
            self._card,
            "0123456789ab",
            "Qwen2_5_VLForConditionalGeneration",
            2048,
            chosen_judge=self._judge,
        )
