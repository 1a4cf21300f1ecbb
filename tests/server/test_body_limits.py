"""The routes' bodies, slow and many: over a real socket, and through the application."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from running_service import Running, Start, until
from small_calls import BLUE, RED, score_body

BODY = json.dumps(score_body()).encode().ljust(2048)
HEADERS = {"content-type": "application/json", "content-length": str(len(BODY))}


@asynccontextmanager
async def listening(running: Running) -> AsyncIterator[int]:
    """The application behind uvicorn; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(running.app, log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def test_a_body_that_stops_coming_ends_its_connection_while_others_are_served(start: Start) -> None:
    running = await start(body_timeout_s=0.5)
    async with listening(running) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = "POST /v1/score HTTP/1.1\r\nHost: service\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in HEADERS.items()
        )
        writer.write(head.encode() + b"\r\n" + BODY[:100])
        await until(lambda: running.service.body_budget.held_bytes == 100)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as others:
            assert (await others.get("/health")).status_code == 200
        answer = await asyncio.wait_for(reader.read(), 60.0)  # up to the end of the connection
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_timeout"' in answer
    assert running.service.body_budget.held_bytes == 0
    running.assert_idle()


async def test_bodies_beyond_the_room_are_refused_until_one_is_done(start: Start) -> None:
    running = await start(max_body_bytes=len(BODY), max_total_body_bytes=len(BODY) + 99)
    may_go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield BODY[:100]
        await may_go_on.wait()
        yield BODY[100:]

    async def refused() -> AsyncIterator[bytes]:
        raise AssertionError("the body of a refused call was read")
        yield b""

    for path in ("/v1/score", "/v1/decompose"):
        may_go_on.clear()
        slow = asyncio.create_task(running.http.post("/v1/score", content=slowly(), headers=HEADERS))
        await until(lambda: running.service.body_budget.held_bytes == 100)
        response = await running.http.post(path, content=refused(), headers=HEADERS)
        assert (response.status_code, response.json()["code"]) == (429, "memory_full")
        assert int(response.headers["Retry-After"]) >= 1
        may_go_on.set()
        assert (await slow).status_code == 200
    assert (await running.http.post("/v1/score", content=BODY, headers=HEADERS)).status_code == 200
    assert running.service.body_budget.held_bytes == 0
    running.assert_idle()


async def test_a_body_keeps_its_room_while_its_call_runs(start: Start) -> None:
    running = await start()
    running.engine.gate = asyncio.Event()
    call = asyncio.create_task(running.http.post("/v1/score", content=BODY, headers=HEADERS))
    await until(lambda: running.engine.running > 0)
    assert running.service.body_budget.held_bytes == len(BODY)
    running.engine.gate.set()
    assert (await call).status_code == 200
    assert running.service.body_budget.held_bytes == 0


async def test_a_part_that_several_fields_name_is_given_back_once(start: Start) -> None:
    """Its bytes were freed for every field, and the room for bodies had no end."""
    running = await start()
    running.engine.gate = asyncio.Event()
    request = score_body(candidates=[{"part": "edited"}] * 8, source={"part": "source"})
    parts = {"request": json.dumps(request).encode(), "source": RED, "edited": BLUE}
    call = asyncio.create_task(running.http.post("/v1/score", files=parts))
    await until(lambda: running.engine.running > 0)
    held = running.service.body_budget.held_bytes
    running.engine.gate.set()
    assert (await call).status_code == 200
    assert held >= len(BLUE)
    assert running.service.body_budget.held_bytes == 0
