"""Room that is waited for: the order, cancellation, and that nothing is lost or given twice."""

import asyncio
from random import Random

import pytest
from running_service import Unmetered

from edit_rrm.wire import Priority
from edit_rrm_server.admission.byte_budget import ByteBudget
from edit_rrm_server.admission.lanes import LANES
from edit_rrm_server.errors import MemoryFullError


def budget(capacity: int = 100) -> ByteBudget:
    return ByteBudget("pictures", capacity, Unmetered())


async def steps(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_waits_longest_is_not_passed_by_who_needs_less() -> None:
    room, order = budget(), list[str]()
    room.take(60)

    async def wait(name: str, count: int, lane: Priority = "training") -> None:
        await room.wait(count, lane)
        order.append(name)

    tasks = [asyncio.create_task(wait("large", 80)), asyncio.create_task(wait("small", 10))]
    await steps()
    assert order == []
    room.free(60)
    await steps()
    assert order == ["large", "small"]
    assert room.held_bytes == 90
    await asyncio.gather(*tasks)


async def test_the_urgent_go_first() -> None:
    room, order = budget(), list[str]()
    room.take(100)

    async def wait(lane: Priority) -> None:
        await room.wait(50, lane)
        order.append(lane)
        room.free(50)

    tasks = []
    for lane in ("training", "training", "interactive"):
        tasks.append(asyncio.create_task(wait(lane)))  # type: ignore[arg-type]
        await steps()
    room.free(100)
    await asyncio.gather(*tasks)
    assert order == ["training", "interactive", "training"]  # the first one was next when the others came


async def test_more_than_there_is_goes_alone() -> None:
    room = budget(100)
    room.take(1)
    waiting = asyncio.create_task(room.wait(500))
    await steps()
    assert not waiting.done()
    room.free(1)
    await waiting
    assert room.held_bytes == 500
    with pytest.raises(MemoryFullError, match="pictures hold 500 bytes of at most 100, and 1 more"):
        room.take(1)


async def test_who_gives_up_makes_way() -> None:
    room = budget(100)
    room.take(50)
    large = asyncio.create_task(room.wait(90))
    small = asyncio.create_task(room.wait(40))
    await steps()
    large.cancel()
    await steps()
    assert small.done()
    assert room.held_bytes == 90


async def test_a_share_waits_for_a_while() -> None:
    room = budget(100)
    with room.share() as share:
        share.take(90)
        with pytest.raises(MemoryFullError):
            await share.wait(20, timeout_s=0.01)
        await share.wait(10, timeout_s=0.01)
    assert room.held_bytes == 0


@pytest.mark.parametrize("seed", range(5))
async def test_whoever_comes_and_goes_nothing_is_lost_or_given_twice(seed: int) -> None:
    random, room, most = Random(seed), budget(100), 0

    async def hold() -> None:
        nonlocal most
        count = random.randint(0, 100)
        await room.wait(count, random.choice(LANES), random.choice([1.0, 2.0]))
        try:
            most = max(most, room.held_bytes)
            await steps(random.randint(0, 5))
        finally:
            room.free(count)

    tasks = [asyncio.create_task(hold()) for _ in range(200)]
    for task in random.sample(tasks, 60):
        await steps(1)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert room.held_bytes == 0
    assert 0 < most <= 100
