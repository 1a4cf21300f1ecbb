"""Blocking work that cannot be interrupted, in a thread that neither its caller nor the process waits for.

Loading a model blocks for a minute in imports and in C. The event loop's own threads would have to end
before the process can. What its caller gave up goes on, and may hold a GPU's memory: the next waits.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

_THREAD_NAME = "detached"
_LOOK_S = 0.05

_given_up: set[threading.Thread] = set()


async def run_detached(work: Callable[[], T], undo: Callable[[T], object] = lambda _: None) -> T:
    """The result of `work`, which begins once all that was given up has ended and been undone.

    When cancelled, returns at once; a result that still comes goes to `undo`.
    """
    while any(thread.is_alive() for thread in _given_up):  # noqa: ASYNC110  # threads tell nobody
        await asyncio.sleep(_LOOK_S)
    _given_up.clear()
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from here on it cannot be cancelled, only be ignored

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run, name=_THREAD_NAME, daemon=True)
    thread.start()
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        _given_up.add(thread)
        future.add_done_callback(lambda done: None if done.exception() else undo(done.result()))
        raise


def is_work_left() -> bool:
    """Whether such a thread still runs: then the process cannot end in the usual way."""
    return any(thread.name == _THREAD_NAME for thread in threading.enumerate())
