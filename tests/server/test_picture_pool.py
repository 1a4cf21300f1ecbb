"""Which picture is worked on first."""

import asyncio
import threading

import pytest
from running_service import until

from edit_rrm_server.scoring.picture_pool import PicturePool


async def test_the_first_lane_goes_first_and_in_a_lane_what_is_nearest_its_end() -> None:
    pool, goes_on, done = PicturePool(1), threading.Event(), []
    held = asyncio.create_task(pool.run(lambda: goes_on.wait(30), "training", "decode"))
    await asyncio.sleep(0.05)  # the only thread is busy from here on
    wanted = [
        ("bulk", "check"), ("training", "decode"), ("training", "check"), ("interactive", "decode"),
        ("training", "decode"), ("interactive", "check"),
    ]  # fmt: skip
    tasks = [
        asyncio.create_task(pool.run(lambda place=place: done.append(place), lane, stage))  # type: ignore[misc,arg-type]
        for place, (lane, stage) in enumerate(wanted)
    ]
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(held, *tasks)
    assert done == [5, 3, 2, 1, 4, 0]
    pool.close()


async def test_what_nobody_waits_for_is_not_begun() -> None:
    pool, goes_on, done = PicturePool(1), threading.Event(), []
    held = asyncio.create_task(pool.run(lambda: goes_on.wait(30), "training", "decode"))
    gone = asyncio.create_task(pool.run(lambda: done.append("gone"), "training", "decode"))
    stays = asyncio.create_task(pool.run(lambda: done.append("stays"), "training", "decode"))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(held, stays)
    assert done == ["stays"]
    pool.close()


async def test_errors_reach_who_waits_and_the_threads_go_on() -> None:
    pool = PicturePool(2)

    def fails() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await pool.run(fails, "training", "check")
    assert await pool.run(lambda: 7, "bulk", "decode") == 7
    pool.close()


async def test_closed_it_ends_its_threads_and_drops_what_has_not_begun() -> None:
    before = threading.active_count()
    pool, goes_on = PicturePool(2), threading.Event()
    held = [asyncio.create_task(pool.run(lambda: goes_on.wait(30), "bulk", "decode")) for _ in range(2)]
    await asyncio.sleep(0.05)
    dropped = asyncio.create_task(pool.run(lambda: 1, "interactive", "decode"))
    await asyncio.sleep(0)
    pool.close()
    goes_on.set()
    await asyncio.gather(*held)
    with pytest.raises(asyncio.CancelledError):
        await dropped
    await until(lambda: threading.active_count() <= before)
