"""What the service knows of a front end that says nothing, and of the engine by what front ends say."""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from running_service import until

from edit_rrm.prompts import Prompt
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.engines.steps import RankSteps
from edit_rrm_server.engines.vllm.frames import Ask, Beat, Job
from edit_rrm_server.engines.vllm.front_ends import _FrontEnd

JOB = Job(Prompt(()), SamplingSettings(0.0, 1.0, 0, 1), (), "", "", None, told=False)


class NoProcess:
    """In place of multiprocessing's context: the test has the front end's side of the pipe."""

    def __init__(self) -> None:
        mine, self.theirs = multiprocessing.Pipe()
        self._mine = mine

    def Pipe(self) -> tuple[Any, Any]:  # noqa: N802  # as multiprocessing names it
        return self._mine, SimpleNamespace(close=lambda: None)

    def Process(self, **_: Any) -> Any:  # noqa: N802
        return SimpleNamespace(start=lambda: None, kill=lambda: None)


@pytest.fixture
async def front_end() -> AsyncIterator[tuple[_FrontEnd, Any]]:
    """A front end, and the other side of its pipe."""
    context = NoProcess()
    config = SimpleNamespace(parallel_config=SimpleNamespace())
    asked = _FrontEnd(context, config, {}, 0, {})
    yield asked, context.theirs
    asked._outgoing.put(None)
    while await asyncio.to_thread(context.theirs.recv) is not None:
        pass
    context.theirs.close()


async def test_a_front_end_with_jobs_that_says_nothing_is_silent(front_end: tuple[_FrontEnd, Any]) -> None:
    asked, theirs = front_end
    await asyncio.sleep(0.05)
    assert asked.silent_s == 0.0  # nobody has asked it anything
    before = time.monotonic()
    job = asyncio.create_task(asked.ask(JOB, {}))
    assert isinstance(await asyncio.to_thread(theirs.recv), Ask)
    await until(lambda: asked.silent_s >= 0.1)
    assert asked.silent_s <= time.monotonic() - before
    theirs.send(Beat({0: RankSteps(7.0, 9.0)}))
    await until(lambda: asked.steps())
    assert asked.silent_s < time.monotonic() - before - 0.1
    job.cancel()
    with suppress(asyncio.CancelledError):
        await job
    assert asked.silent_s == 0.0


async def test_what_it_said_of_the_engine_ages_until_it_says_more(front_end: tuple[_FrontEnd, Any]) -> None:
    asked, theirs = front_end
    assert asked.steps() == {}
    job = asyncio.create_task(asked.ask(JOB, {}))
    await asyncio.to_thread(theirs.recv)
    theirs.send(Beat({0: RankSteps(7.0, 9.0), 1: RankSteps(0.5, None)}))
    await until(lambda: asked.steps() and asked.steps()[0].quiet_s >= 7.1)
    busy_s = asked.steps()[0].busy_s
    assert busy_s is not None
    assert busy_s >= 9.1
    assert asked.steps()[1].busy_s is None
    job.cancel()
    with suppress(asyncio.CancelledError):
        await job
    assert asked.steps()[0].busy_s is None  # what it had to do is over
