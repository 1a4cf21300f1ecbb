"""benchmarks/faults.py in seconds: the real application around a scripted engine, reached by real sockets."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from faults import Report, Sizes, Trial
from live_service import LiveService
from prometheus_client.parser import text_string_to_metric_families
from rig.bad_link import BadLink, Weather
from rig.calls import make_groups, multipart
from rig.checked_load import Load, Tally, learned
from rig.leavers import Leavers
from rig.small_disk import small_disk
from rig.streams import stream
from scripted_engine import Asked, ScriptedEngine, trace, well_behaved

pytestmark = pytest.mark.slow
GROUPS = make_groups(3, 2)
TRACE_S = 0.02
_NOTHING_HELD = {"edit_rrm_queue_jobs": 0, "edit_rrm_jobs_in_flight": 0, "edit_rrm_held_bytes": 0}


class SlowEngine(ScriptedEngine):
    """Takes `TRACE_S` for a trace; a score depends on the picture alone, so that a wrong one would show."""

    async def generate(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        await asyncio.sleep(TRACE_S)
        return await super().generate(*args, **kwargs)  # type: ignore[arg-type]


def by_instruction(asked: Asked) -> str:
    return trace(asked, score=len(asked.text) % 10) if asked.verifies else well_behaved(asked)


@pytest.fixture
def live() -> Iterator[LiveService]:
    with LiveService(SlowEngine(by_instruction), score_cache_mib=0, drain_timeout_s=30.0) as service:
        while httpx.get(f"{service.url}/ready").status_code != 200:
            pass
        yield service


def gauges(live: LiveService) -> dict[str, int]:
    """What is held, and tasks and connections."""
    sums: dict[str, int] = {}
    for family in text_string_to_metric_families(httpx.get(f"{live.url}/metrics").text):
        for sample in family.samples:
            if sample.name in (*_NOTHING_HELD, "edit_rrm_tasks", "edit_rrm_connections"):
                sums[sample.name] = sums.get(sample.name, 0) + int(sample.value)
    return sums


async def freed(live: LiveService, before: dict[str, int]) -> None:
    """Returns once all is as before. Fails if it never is."""
    async with asyncio.timeout(60.0):
        while (now := await asyncio.to_thread(gauges, live)) != before:
            assert now.keys() == before.keys()
            await asyncio.sleep(0.05)
    assert {name: before[name] for name in _NOTHING_HELD} == _NOTHING_HELD


async def test_callers_that_leave_at_random_moments_leave_nothing_behind(live: LiveService) -> None:
    before = await asyncio.to_thread(gauges, live)
    leavers = Leavers(live.url, [multipart(group) for group in GROUPS], seed=0, within_s=1.0)
    await leavers.run(120)
    assert leavers.came_to["left within the request"] > 10
    assert leavers.came_to["left while it waited"] > 10
    assert leavers.came_to["answered 200"] > 3
    assert sum(leavers.came_to.values()) == 120
    assert set(leavers.came_to) <= {"left within the request", "left while it waited", "answered 200"}
    await freed(live, before)


async def test_every_line_of_a_stream_is_answered_once_however_it_is_read(live: LiveService) -> None:
    before = await asyncio.to_thread(gauges, live)
    line_of = Trial(None, None, Sizes(4, 100, 0), GROUPS, [], Report("")).line_of(50)  # type: ignore[arg-type]
    found = await stream(live.url, line_of, 500, lambda number: 0.5 if number in (1, 250) else 0.0)
    assert found.answered_once(500) == 500 == found.keys.total()
    assert sum(found.failures.values()) == 300, "six of ten lines"
    assert found.failures["malformed_json"] == 100
    await freed(live, before)


async def test_over_a_link_that_breaks_every_call_is_answered_and_rightly(live: LiveService) -> None:
    expected = await learned(live.url, GROUPS)
    assert len({tuple(rewards) for rewards in expected}) > 1
    before = await asyncio.to_thread(gauges, live)
    tally = Tally()
    weather = Weather(delay_s=0.002, breaks=0.5, breaks_within_bytes=30_000)
    async with (
        BadLink(int(live.url.rsplit(":", 1)[1]), seed=1, weather=weather) as link,
        Load(link.url, GROUPS, expected, tally, callers=4),
        asyncio.timeout(60.0),
    ):
        while link.broken < 5 or tally.answered < 20:  # noqa: ASYNC110  # of two counts
            await asyncio.sleep(0.05)
    assert (tally.lost, tally.different, tally.failed) == (0, 0, 0)
    assert tally.answered == tally.asked
    await freed(live, before)


async def test_what_was_accepted_before_the_end_is_answered(live: LiveService) -> None:
    expected = await learned(live.url, GROUPS)
    tally = Tally()
    line_of = Trial(None, None, Sizes(4, 100, 0), GROUPS, [], Report("")).line_of(50)  # type: ignore[arg-type]
    leavers = Leavers(live.url, [multipart(group) for group in GROUPS], seed=2, within_s=1.0)
    is_read = asyncio.Event()

    def slowly(number: int) -> float:
        if number == 20:
            is_read.set()
        return 0.002

    async with asyncio.TaskGroup() as others, Load(live.url, GROUPS, expected, tally, patient=False):
        others.create_task(leavers.run(30))
        lined = others.create_task(stream(live.url, line_of, 5000, slowly))
        await asyncio.wait_for(is_read.wait(), 60.0)
        loop = live._loop
        assert loop is not None
        draining = asyncio.run_coroutine_threadsafe(live.service.drain(60.0), loop)
        assert await asyncio.to_thread(draining.result, 80.0)
    found = lined.result()
    assert found.unread is not None
    assert found.answered_once(found.unread) == found.unread == found.keys.total()
    assert (tally.lost, tally.different) == (0, 0)
    assert tally.answered > 0
    assert tally.asked == tally.answered + tally.refused, "what is not answered was refused by `draining`"


def test_a_small_disk_is_full_until_it_is_freed() -> None:
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(1))
        except subprocess.CalledProcessError:
            pytest.skip("no tmpfs may be mounted here")
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.directory / "one").write_bytes(bytes(8192))
        disk.free()
        (disk.directory / "two").write_bytes(bytes(8192))
