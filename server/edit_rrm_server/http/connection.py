"""Work that ends when its caller goes away."""

import asyncio
import math
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from edit_rrm_server.errors import CallerGoneError, DeadlineExceededError

T = TypeVar("T")


async def run_for_caller(request: Request, work: Coroutine[Any, Any, T], deadline_at: float = math.inf) -> T:
    """The result of `work`, which is cancelled when the caller disconnects or `deadline_at` passes.

    The request's body must have been read. `deadline_at` is in monotonic seconds: infinite for work that
    keeps to its own. Raises
    CallerGoneError, DeadlineExceededError, and what the work raises.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.create_task(_disconnected(request))
    remaining_s = deadline_at - time.monotonic()
    try:
        await asyncio.wait({task, gone}, timeout=max(0.0, remaining_s), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise CallerGoneError("the caller closed the connection")
        raise DeadlineExceededError("the deadline passed before the call was complete")
    finally:
        for unfinished in (task, gone):
            unfinished.cancel()
        await asyncio.wait({task, gone})


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
