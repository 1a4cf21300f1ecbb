"""Work in a thread that is not waited for."""

import asyncio
import threading

import pytest
from running_service import until

from edit_rrm_server.engines.detached_thread import is_work_left, run_detached


async def test_the_result_and_the_error_come_back() -> None:
    assert await run_detached(lambda: 6 * 7) == 42

    def fails() -> None:
        raise OSError("no weights")

    with pytest.raises(OSError, match="no weights"):
        await run_detached(fails)


async def test_cancelling_does_not_wait_and_a_late_result_is_undone() -> None:
    may_end, undone = threading.Event(), list[str]()

    def work() -> str:
        may_end.wait()
        return "an engine"

    task = asyncio.create_task(run_detached(work, undo=undone.append))
    await until(is_work_left)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_work_left()
    assert undone == []
    may_end.set()
    await until(lambda: not is_work_left())
    assert undone == ["an engine"]


async def test_a_result_that_came_in_the_step_that_cancels_is_undone() -> None:
    undone = list[str]()
    task = asyncio.create_task(run_detached(lambda: "an engine", undo=undone.append))
    await asyncio.sleep(0)
    while is_work_left():  # blocks the loop: the task cannot take the result before it is cancelled
        pass
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == ["an engine"]


async def test_the_next_work_waits_until_what_was_given_up_is_undone() -> None:
    may_end, order = threading.Event(), list[str]()

    def first() -> str:
        may_end.wait()
        return "an engine"

    task = asyncio.create_task(run_detached(first, undo=lambda _: order.append("undone")))
    await until(is_work_left)
    task.cancel()
    second = asyncio.create_task(run_detached(lambda: order.append("begun")))
    await asyncio.sleep(0.2)
    assert order == []
    may_end.set()
    await second
    assert order == ["undone", "begun"]
