"""What is done to a running service from outside: its engine killed or stopped, its weights replaced."""

import asyncio
import contextlib
import time

import httpx
import psutil  # type: ignore[import-untyped]

from edit_rrm_server.settings.server import BUNDLED_MODEL
from rig.processes import ServerProcess

ADMIN_KEY = "benchmark-admin"
RELOADABLE = {"admin_api_keys": ADMIN_KEY, "reload_root": BUNDLED_MODEL.parent}
"""Settings of a service that `reload` may be asked of."""
NOTICE_LIMIT_S = 120.0
READY_LIMIT_S = 400.0
_POLL_S = 0.05


def engines(server: ServerProcess) -> list[psutil.Process]:
    """The engine's processes."""
    found = []
    for child in psutil.Process(server.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "EngineCore" in " ".join(child.cmdline()) or "EngineCore" in child.name():
                found.append(child)
    return found


async def kill_engine(server: ServerProcess) -> None:
    """SIGKILL; returns once the service has noticed."""
    for engine in engines(server):
        engine.kill()
    await unready(server.url)


async def stop_engine(server: ServerProcess) -> None:
    """SIGSTOP, under load; returns once the service takes the engine for hung."""
    for engine in engines(server):
        engine.suspend()
    await unready(server.url)


async def reload(server: ServerProcess) -> str:
    """Loads the bundled model in place of itself; `ok`, or the code of the refusal."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(timeout=READY_LIMIT_S) as http:
        answer = await http.post(
            f"{server.url}/v1/admin/reload", json={"path": str(BUNDLED_MODEL)}, headers=headers
        )
    return "ok" if answer.status_code == 200 else str(answer.json()["code"])


async def unready(url: str) -> None:
    """Returns once /ready says no. Raises TimeoutError."""
    async with httpx.AsyncClient(timeout=30.0) as http, asyncio.timeout(NOTICE_LIMIT_S):
        while (await http.get(f"{url}/ready")).status_code == 200:  # noqa: ASYNC110  # another process
            await asyncio.sleep(_POLL_S)


async def ready_again(url: str) -> float:
    """Seconds until /ready says yes. Raises TimeoutError."""
    started = time.monotonic()
    async with httpx.AsyncClient(timeout=30.0) as http, asyncio.timeout(READY_LIMIT_S):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get(f"{url}/ready")).status_code == 200:
                    return time.monotonic() - started
            await asyncio.sleep(_POLL_S)
