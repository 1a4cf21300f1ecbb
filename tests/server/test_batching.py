"""The batcher: bounded admission, turns, the window, cancellation."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edit_rrm_server.batching import Admission, Batcher, DrainRate
from edit_rrm_server.errors import QueueFullError


class Silent:
    """Batching metrics that nobody reads."""

    def queue_changed(self, waiting_jobs: int, jobs_in_flight: int) -> None: ...
    def jobs_refused(self, count: int) -> None: ...
    def job_started(self, waited_s: float) -> None: ...


def batcher(capacity: int = 100, window: int = 4, turn_jobs: int = 2) -> Batcher:
    return Batcher(capacity, window, turn_jobs, Silent())


async def steps(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def run_job(
    admission: Admission, name: str, order: list[str], gate: asyncio.Event | None = None
) -> None:
    async with admission.slot():
        order.append(name)
        if gate is not None:
            await gate.wait()


def test_a_call_is_admitted_whole_or_refused_whole() -> None:
    b = batcher(capacity=10)
    b.admit(7)
    with pytest.raises(QueueFullError, match="7 jobs wait of at most 10, and the call needs 4"):
        b.admit(4)
    assert b.waiting_jobs == 7
    b.admit(3)
    assert b.waiting_jobs == 10


def test_a_call_larger_than_the_queue_is_admitted_once_nothing_waits() -> None:
    b = batcher(capacity=10)
    with b.admit(1), pytest.raises(QueueFullError):
        b.admit(2048)
    with b.admit(2048) as large:
        assert b.waiting_jobs == large.pending == 2048
    assert b.waiting_jobs == 0


def test_forgone_jobs_are_room_for_others() -> None:
    b = batcher(capacity=10)
    first = b.admit(10)
    first.forgo(4)
    b.admit(4)
    with pytest.raises(QueueFullError):
        b.admit(1)


async def test_no_more_jobs_than_the_window_run_at_once() -> None:
    b, gate, order = batcher(window=3), asyncio.Event(), list[str]()
    admission = b.admit(8)
    tasks = [asyncio.create_task(run_job(admission, str(i), order, gate)) for i in range(8)]
    await steps()
    assert (len(order), b.jobs_in_flight, b.waiting_jobs) == (3, 3, 5)
    gate.set()
    await asyncio.gather(*tasks)
    assert order == [str(i) for i in range(8)]
    assert (b.jobs_in_flight, b.waiting_jobs) == (0, 0)


async def test_calls_take_turns_of_adjacent_jobs() -> None:
    b, order, gate = batcher(window=1, turn_jobs=2), list[str](), asyncio.Event()
    blocker = b.admit(1)
    tasks = [asyncio.create_task(run_job(blocker, "x", order, gate))]
    await steps()
    large, small = b.admit(5), b.admit(1)
    tasks += [asyncio.create_task(run_job(large, f"a{i}", order)) for i in range(5)]
    await steps()
    tasks.append(asyncio.create_task(run_job(small, "b0", order)))
    await steps()
    gate.set()
    await asyncio.gather(*tasks)
    assert order == ["x", "a0", "a1", "b0", "a2", "a3", "a4"]


async def test_cancelling_a_waiting_job_frees_its_place_and_a_running_one_its_slot() -> None:
    b, order, gate = batcher(window=1), list[str](), asyncio.Event()
    admission = b.admit(3)
    tasks = [asyncio.create_task(run_job(admission, str(i), order, gate)) for i in range(3)]
    await steps()
    tasks[1].cancel()
    await steps()
    assert (b.jobs_in_flight, b.waiting_jobs) == (1, 1)
    tasks[0].cancel()
    await steps()
    assert order == ["0", "2"]
    gate.set()
    await tasks[2]
    assert (b.jobs_in_flight, b.waiting_jobs) == (0, 0)


async def test_a_job_cancelled_in_the_step_that_grants_it_gives_its_slot_on() -> None:
    b, order, gate = batcher(window=1), list[str](), asyncio.Event()
    admission = b.admit(3)
    tasks = [asyncio.create_task(run_job(admission, str(i), order, gate)) for i in range(3)]
    await steps()
    gate.set()
    await asyncio.sleep(0)  # job 0 is about to release, which grants job 1
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["0", "2"]
    assert (b.jobs_in_flight, b.waiting_jobs) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sets(st.integers(0, 35)),
)
def test_every_job_runs_or_was_cancelled_and_nothing_is_left(
    calls: list[int], window: int, turn_jobs: int, cancelled: set[int]
) -> None:
    async def scenario() -> None:
        b, order = batcher(window=window, turn_jobs=turn_jobs), list[str]()
        tasks: list[asyncio.Task[None]] = []
        for jobs in calls:
            admission = b.admit(jobs)
            tasks += [
                asyncio.create_task(run_job(admission, str(len(tasks) + i), order)) for i in range(jobs)
            ]
            await asyncio.sleep(0)
        gone = {i for i in cancelled if i < len(tasks) and tasks[i].cancel()}
        await asyncio.gather(*tasks, return_exceptions=True)
        assert {str(i) for i in range(len(tasks))} - set(order) == {
            str(i) for i in gone if tasks[i].cancelled() and str(i) not in order
        }
        assert (b.jobs_in_flight, b.waiting_jobs) == (0, 0)

    asyncio.run(scenario())


def test_the_drain_rate_is_jobs_per_second_over_the_last_half_minute() -> None:
    rate = DrainRate()
    assert rate.jobs_per_s(0.0) is None
    for second in range(11):
        rate.record(float(second))
    assert rate.jobs_per_s(10.0) == pytest.approx(1.1)
    assert rate.jobs_per_s(60.0) is None


def test_retry_after_is_the_excess_divided_by_the_measured_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("edit_rrm_server.batching.time.monotonic", lambda: clock[0])
    b = batcher(capacity=10)
    for second in range(1, 21):
        clock[0] = float(second)
        b._in_flight += 1
        b.release()
    clock[0] = 20.0
    b.admit(10)
    with pytest.raises(QueueFullError) as refused:
        b.admit(10)
    assert refused.value.retry_after_s == pytest.approx(10 / (20 / 19), rel=0.01)
