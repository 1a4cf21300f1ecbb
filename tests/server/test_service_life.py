"""Loading, ready, draining, dead: what the probes and the routes say, and who waits for whom."""

import asyncio
import json
from typing import Any

import pytest
from running_service import CARD, Running, Start, until
from scripted_engine import ScriptedEngine
from small_calls import BLUE, b64, score_body

from edit_rrm_server.engines.loaded_model import LoadedModel


async def test_the_socket_answers_while_the_model_loads(start: Start) -> None:
    may_load, engine = asyncio.Event(), ScriptedEngine()

    async def load() -> LoadedModel:
        await may_load.wait()
        return LoadedModel(engine, CARD, "0123456789ab", "Q", 2048)

    running = await start(engine, load, wait=False)
    assert (await running.http.get("/health")).status_code == 200
    for response in (
        await running.http.get("/ready"),
        await running.score(),
        await running.http.get("/v1/models"),
    ):
        assert (response.status_code, response.json()["code"]) == (503, "loading")
        assert int(response.headers["Retry-After"]) >= 1
    may_load.set()
    await running.service.load_ended.wait()
    assert (await running.http.get("/ready")).json() == {"status": "ready", "model": "scripted@0123456789ab"}
    assert (await running.score()).status_code == 200


async def test_a_model_that_cannot_be_loaded_is_never_ready(start: Start) -> None:
    async def load() -> LoadedModel:
        raise OSError("no such weights")

    running = await start(load=load)
    assert running.service.state == "failed"
    assert (await running.http.get("/ready")).status_code == 503


async def test_draining_refuses_new_calls_and_waits_for_running_ones(running: Running) -> None:
    running.engine.gate = asyncio.Event()
    call = asyncio.create_task(running.score())
    await until(lambda: running.engine.running > 0)
    drain = asyncio.create_task(running.service.drain(30.0))
    await asyncio.sleep(0)
    for response in (await running.http.get("/ready"), await running.score()):
        assert (response.status_code, response.json()["code"]) == (503, "draining")
    assert not drain.done()
    running.engine.gate.set()
    assert (await call).status_code == 200
    assert await drain is True


async def test_draining_does_not_wait_forever(running: Running) -> None:
    running.engine.gate = asyncio.Event()
    call = asyncio.create_task(running.score())
    await until(lambda: running.engine.running > 0)
    assert await running.service.drain(0.01) is False
    running.engine.gate.set()
    await call


async def test_stopping_stops_the_engine(running: Running) -> None:
    await running.service.stop()
    assert running.engine.stopped


async def test_a_caller_that_goes_away_takes_its_work_along(start: Start) -> None:
    running = await start(window=2)
    running.engine.gate = asyncio.Event()
    gone = asyncio.Event()
    body = json.dumps(score_body(candidates=[b64_blue()] * 5, guards="off", principles=None)).encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/score", "raw_path": b"/v1/score", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "http_version": "1.1", "scheme": "http",
    }  # fmt: skip
    serving = asyncio.create_task(running.app(scope, receive, send))
    await until(lambda: running.engine.running > 0)
    assert running.service.batcher.waiting_jobs > 0
    gone.set()
    await serving
    assert running.engine.aborted == 1  # the decomposition: nobody else waited for it
    running.assert_idle()


async def test_a_decomposition_outlives_the_call_that_began_it_if_another_waits(running: Running) -> None:
    running.engine.gate = asyncio.Event()
    first = asyncio.create_task(running.score(principles=None, deadline_s=0.2))
    second = asyncio.create_task(running.score(principles=None))
    assert (await first).json()["code"] == "deadline_exceeded"
    assert running.engine.aborted == 0
    running.engine.gate.set()
    assert (await second).status_code == 200
    assert sum(not asked.verifies for asked in running.engine.asked) == 1
    running.assert_idle()


async def test_many_calls_at_once_are_all_answered_and_leave_nothing_behind(start: Start) -> None:
    running = await start(window=8)
    running.engine.gate = asyncio.Event()
    fields = {"candidates": [b64_blue()] * 4, "guards": "off"}
    calls = [asyncio.create_task(running.score(instruction=f"edit {i}", **fields)) for i in range(20)]
    await until(lambda: (running.service.batcher.waiting_jobs, running.engine.running) == (72, 8))
    running.engine.gate.set()
    assert {(await call).status_code for call in calls} == {200}
    assert running.engine.most_running == 8
    running.assert_idle()


@pytest.mark.parametrize("given", ["abc-123", "x" * 128])
async def test_a_sane_request_id_is_kept(running: Running, given: str) -> None:
    response = await running.http.get("/health", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 129, "caf\u00e9"])
async def test_another_request_id_is_replaced(running: Running, given: str) -> None:
    response = await running.http.get("/health", headers={"X-Request-ID": given.encode("latin-1")})
    assert response.headers["X-Request-ID"] != given
    assert len(response.headers["X-Request-ID"]) == 32


def b64_blue() -> dict[str, str]:
    return b64(BLUE)


@pytest.mark.parametrize(
    ("sequences", "changes", "window"), [(1024, {}, 1152), (1024, {"window": 7}, 7), (None, {}, 72)]
)
async def test_the_window_is_that_of_the_engine_in_force(
    start: Start, sequences: int | None, changes: dict[str, Any], window: int
) -> None:
    engine = ScriptedEngine()

    async def load() -> LoadedModel:
        return LoadedModel(engine, CARD, "0123456789ab", "Q", 2048, sequences)

    running = await start(engine, load, **changes)
    assert running.service.batcher.window == window
