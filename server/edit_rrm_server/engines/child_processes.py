"""The processes this one has started, directly or not, and their end by force."""

import asyncio
import contextlib
import multiprocessing.resource_tracker
import os
from collections.abc import Iterable
from typing import Any

import psutil  # type: ignore[import-untyped]

_SWEEPS = 3  # a process may start another while the first sweep goes on


def handles_of(process_ids: Iterable[int]) -> list[Any]:
    """A psutil.Process for each that lives: it stays true when the id is given to another process."""
    handles = []
    for process_id in process_ids:
        with contextlib.suppress(psutil.NoSuchProcess):
            handles.append(psutil.Process(process_id))
    return handles


async def first_end(sentinels: Iterable[int], task: "asyncio.Task[Any] | None" = None) -> None:
    """Returns once one of the processes has ended, or the task.

    Sentinels are file descriptors, readable from the end of their process on. Others may watch the same
    ones, so these are copies.
    """
    loop = asyncio.get_running_loop()
    end: asyncio.Future[None] = loop.create_future()

    def noticed(*_: object) -> None:
        if not end.done():
            end.set_result(None)

    copies = [os.dup(sentinel) for sentinel in sentinels]
    try:
        for copy in copies:
            loop.add_reader(copy, noticed)
        if task is not None:
            task.add_done_callback(noticed)
        await end
    finally:
        if task is not None:
            task.remove_done_callback(noticed)
        for copy in copies:
            loop.remove_reader(copy)
            os.close(copy)


def kill(handles: Iterable[Any]) -> None:
    """Kills those that still live."""
    for handle in handles:
        with contextlib.suppress(psutil.NoSuchProcess):
            handle.kill()


def kill_descendants() -> None:
    """Kills everything below this process but the resource tracker, which cleans up and ends by itself."""
    tracker: Any = multiprocessing.resource_tracker._resource_tracker
    for _ in range(_SWEEPS):
        below = psutil.Process().children(recursive=True)
        kill(child for child in below if child.pid != tracker._pid)
