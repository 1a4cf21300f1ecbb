"""The batcher: bounded admission, lanes, the window, cancellation, what is counted."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edit_rrm.wire import Priority
from edit_rrm_server.admission.batching import Admission, Batcher, Dropped
from edit_rrm_server.admission.drain_rate import DrainRate
from edit_rrm_server.admission.lanes import LANES
from edit_rrm_server.errors import CallerGoneError, DeadlineExceededError, QueueFullError, UnavailableError


class Counted:
    """Batching metrics that remember what was dropped and how full the window was."""

    def __init__(self) -> None:
        self.dropped: list[tuple[str, int, int]] = []
        self.occupancies: list[float] = []

    def jobs_in_flight(self, count: int) -> None: ...
    def jobs_refused(self, count: int) -> None: ...

    def job_started(self, lane: Priority, waited_s: float, occupancy: float) -> None:
        assert waited_s >= 0
        self.occupancies.append(occupancy)

    def jobs_dropped(self, reason: Dropped, waiting: int, in_engine: int) -> None:
        self.dropped.append((reason, waiting, in_engine))


def batcher(
    capacity: int = 100, window: int = 4, bulk_share: float = 0.25, metrics: Counted | None = None
) -> Batcher:
    return Batcher(capacity, window, bulk_share, metrics or Counted())


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
    first.release_room(4)
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


async def started_order(b: Batcher, calls: dict[str, tuple[Admission, int]]) -> list[str]:
    """The order in which jobs start that are queued while the window (of 1) is busy."""
    order, gate = list[str](), asyncio.Event()
    tasks = [asyncio.create_task(run_job(b.admit(1), "x", order, gate))]
    await steps()
    for name, (admission, jobs) in calls.items():
        tasks += [asyncio.create_task(run_job(admission, f"{name}{i}", order)) for i in range(jobs)]
        await steps()
    gate.set()
    await asyncio.gather(*tasks)
    return order[1:]


async def test_a_group_s_jobs_stay_together_and_the_earlier_call_goes_first() -> None:
    b = batcher(window=1)
    order = await started_order(b, {"a": (b.admit(3), 3), "b": (b.admit(2), 2)})
    assert order == ["a0", "a1", "a2", "b0", "b1"]


async def test_lanes_go_before_deadlines_and_deadlines_before_arrival() -> None:
    b = batcher(window=1)
    order = await started_order(b, {
        "late": (b.admit(1, "training", 90.0), 1),
        "soon": (b.admit(1, "training", 10.0), 1),
        "urgent": (b.admit(1, "interactive", 500.0), 1),
    })  # fmt: skip
    assert order == ["urgent0", "soon0", "late0"]


async def test_bulk_gets_its_share_and_no_more_under_constant_load() -> None:
    b = batcher(window=1, bulk_share=0.25)
    order = await started_order(b, {"t": (b.admit(12), 12), "b": (b.admit(6, "bulk"), 6)})
    assert [name[0] for name in order[:16]].count("b") == 4
    assert [i for i, name in enumerate(order[:16]) if name[0] == "b"] == [3, 7, 11, 15]


async def test_a_call_that_somebody_urgent_waits_for_is_hastened() -> None:
    b = batcher(window=1)
    slow = b.admit(1, "bulk", 100.0)
    other = b.admit(1, "training", 50.0)
    order, gate = list[str](), asyncio.Event()
    tasks = [asyncio.create_task(run_job(b.admit(1), "x", order, gate))]
    await steps()
    for name, admission in (("other", other), ("slow", slow)):
        tasks.append(asyncio.create_task(run_job(admission, name, order)))
    await steps()
    slow.promote("interactive", 20.0)
    assert b.waiting_by_lane == {"interactive": 1, "training": 1, "bulk": 0}
    gate.set()
    await asyncio.gather(*tasks)
    assert order == ["x", "slow", "other"]


async def test_what_a_call_dropped_is_counted_with_its_reason() -> None:
    metrics = Counted()
    b = batcher(window=1, metrics=metrics)
    gate, order = asyncio.Event(), list[str]()
    late = b.admit(4)
    tasks = [asyncio.create_task(run_job(late, str(i), order, gate)) for i in range(2)]
    await steps()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with pytest.raises(DeadlineExceededError), late:
        raise DeadlineExceededError("too late")
    with pytest.raises(CallerGoneError), b.admit(2):
        raise CallerGoneError("gone")
    with b.admit(1) as admission:
        await run_job(admission, "fine", order)
    # The first call: one job in the engine, one in the queue, two that had not been asked for yet.
    assert metrics.dropped == [("expired", 3, 1), ("cancelled", 2, 0)]
    assert (b.jobs_in_flight, b.waiting_jobs) == (0, 0)


async def test_queued_jobs_fail_at_once_when_nobody_will_run_them() -> None:
    b, order, gate = batcher(window=1), list[str](), asyncio.Event()
    admission = b.admit(4)
    tasks = [asyncio.create_task(run_job(admission, str(i), order, gate)) for i in range(3)]
    await steps()
    assert b.fail_waiting(lambda: UnavailableError("engine_dead", "it died", 1.0)) == 2
    await steps()
    for task in tasks[1:]:
        assert isinstance(task.exception(), UnavailableError)
    assert b.waiting_jobs == 1  # reserved, not asked for yet
    gate.set()
    await tasks[0]
    b.leave(admission)
    assert (b.jobs_in_flight, b.waiting_jobs) == (0, 0)


async def test_a_stream_waits_while_the_bulk_lane_is_full() -> None:
    b, order, gate = batcher(capacity=100, window=2), list[str](), asyncio.Event()
    full = b.admit_unbounded(6, "bulk")
    tasks = [asyncio.create_task(run_job(full, str(i), order, gate)) for i in range(6)]
    await steps()
    assert b.waiting_by_lane["bulk"] == 4
    waiting = asyncio.create_task(b.stream_room(1))
    await steps()
    assert not waiting.done()
    tasks[5].cancel()
    await steps()
    assert waiting.done()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_oldest_wait_is_told_by_lane() -> None:
    b = batcher()
    assert b.oldest_wait_s("bulk") == 0.0
    b.admit(1, "bulk").arrived_at -= 7.0
    b.admit(1, "bulk")
    assert 7.0 <= b.oldest_wait_s("bulk") < 8.0
    assert b.oldest_wait_s("training") == 0.0


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
    st.sampled_from([0.0, 0.1, 0.5]),
    st.sets(st.integers(0, 35)),
    st.randoms(use_true_random=False),
)
def test_every_job_runs_or_was_cancelled_and_nothing_is_left(
    calls: list[int], window: int, bulk_share: float, cancelled: set[int], random: Random
) -> None:
    async def scenario() -> None:
        b, order = batcher(window=window, bulk_share=bulk_share), list[str]()
        tasks: list[asyncio.Task[None]] = []
        for jobs in calls:
            admission = b.admit(jobs, random.choice(LANES), random.choice([1.0, 2.0, 3.0]))
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
        assert set(b.waiting_by_lane.values()) == {0}

    asyncio.run(scenario())


def test_the_drain_rate_is_jobs_per_second_over_the_last_half_minute() -> None:
    rate = DrainRate()
    assert rate.per_s(0.0) is None
    for second in range(11):
        rate.record(float(second))
    assert rate.per_s(10.0) == pytest.approx(1.1)
    assert rate.per_s(60.0) is None


def test_retry_after_is_the_excess_divided_by_the_measured_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("edit_rrm_server.admission.batching.time.monotonic", lambda: clock[0])
    b = batcher(capacity=10)
    for second in range(1, 21):
        clock[0] = float(second)
        b._in_flight += 1
        b._running_of["anyone"] += 1
        b.release("anyone", True)
    clock[0] = 20.0
    b.admit(10)
    with pytest.raises(QueueFullError) as refused:
        b.admit(10)
    assert refused.value.retry_after_s == pytest.approx(10 / (20 / 19), rel=0.01)
