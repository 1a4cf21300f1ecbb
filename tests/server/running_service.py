"""The real application around a scripted engine, reached in process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from fastapi import FastAPI
from scripted_engine import ScriptedEngine
from small_calls import score_body

from edit_rrm.checkpoint import RRMCard
from edit_rrm_server.life.service import Service

CARD = RRMCard(name="scripted", profile="trained", trace_format="1", max_image_side=64)


class Unmetered:
    """Of a budget, to which nobody listens."""

    def refused(self, resource: str) -> None: ...


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


async def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """Waits until the condition holds; fails if it does not."""
    async with asyncio.timeout(within_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)
