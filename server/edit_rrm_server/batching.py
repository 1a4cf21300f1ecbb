"""Admission and order: a bounded queue of jobs in front of the engine's window.

A job is one prompt for the engine. A call reserves room for all its jobs at once, before any of its
images is decoded, and is admitted whole or refused whole. Jobs of one call stay adjacent, so that a
group finds its prefix in the engine's cache; calls take turns of `turn_jobs` jobs, so that a call of
one candidate never waits for all of a large one.

Everything here runs on the event loop's thread; there are no locks.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Protocol

from edit_rrm_server.errors import QueueFullError

_RATE_SPAN_S = 30.0
_MIN_RETRY_S, _MAX_RETRY_S = 1.0, 120.0


class BatchingMetrics(Protocol):
    """What the batcher reports."""

    def queue_changed(self, waiting_jobs: int, jobs_in_flight: int) -> None:
        """After every change of either."""
        ...

    def jobs_refused(self, count: int) -> None:
        """A call of `count` jobs found no room."""
        ...

    def job_started(self, waited_s: float) -> None:
        """A job left the queue."""
        ...


class DrainRate:
    """Jobs finished per second over the last half minute."""

    def __init__(self) -> None:
        self._finished_at: deque[float] = deque(maxlen=4096)

    def record(self, now: float) -> None:
        """One job finished at `now` (monotonic seconds)."""
        self._finished_at.append(now)

    def jobs_per_s(self, now: float) -> float | None:
        """None until two jobs finished within the span."""
        while self._finished_at and now - self._finished_at[0] > _RATE_SPAN_S:
            self._finished_at.popleft()
        if len(self._finished_at) < 2:
            return None
        return len(self._finished_at) / max(now - self._finished_at[0], 1e-3)


class Admission:
    """An admitted call: its room in the queue, its jobs' way into the window. Use as a context manager."""

    def __init__(self, batcher: "Batcher", jobs: int) -> None:
        self._batcher = batcher
        self.reserved = jobs
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.longest_wait_s = 0.0

    @property
    def pending(self) -> int:
        """Jobs that have not started; further attempts may exceed what was reserved."""
        return max(self.reserved, len(self.waiting))

    def forgo(self, jobs: int) -> None:
        """Gives back room for jobs that turned out not to be needed."""
        self.reserved = max(0, self.reserved - jobs)
        self._batcher.changed()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A place in the engine's window for one job, in this call's turn. Cancelling leaves the queue."""
        started = time.monotonic()
        await self._batcher.acquire(self)
        waited_s = time.monotonic() - started
        self.longest_wait_s = max(self.longest_wait_s, waited_s)
        try:
            yield
        finally:
            self._batcher.release()

    def __enter__(self) -> "Admission":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batcher.leave(self)


class Batcher:
    """See the module. `capacity` and `window` count jobs."""

    def __init__(self, capacity: int, window: int, turn_jobs: int, metrics: BatchingMetrics) -> None:
        self._capacity = capacity
        self._window = window
        self._turn_jobs = turn_jobs
        self._metrics = metrics
        self._admissions: set[Admission] = set()
        self._turns: deque[Admission] = deque()  # calls with waiting jobs; the first one has its turn
        self._left_in_turn = turn_jobs
        self._in_flight = 0
        self._rate = DrainRate()

    @property
    def waiting_jobs(self) -> int:
        """Jobs reserved or queued and not started."""
        return sum(admission.pending for admission in self._admissions)

    @property
    def jobs_in_flight(self) -> int:
        """Jobs in the engine."""
        return self._in_flight

    def admit(self, jobs: int) -> Admission:
        """Room for `jobs` jobs. Raises QueueFullError when they do not fit; nothing is queued then.

        A call larger than the whole queue is admitted when nothing else waits, so none is refused forever.
        """
        waiting = self.waiting_jobs
        if waiting and waiting + jobs > self._capacity:
            self._metrics.jobs_refused(jobs)
            # Too large for the queue: it must drain completely. Otherwise: until the jobs fit.
            excess = waiting if jobs > self._capacity else waiting + jobs - self._capacity
            raise QueueFullError(
                f"{waiting} jobs wait of at most {self._capacity}, and the call needs {jobs}",
                self._drain_s(excess),
            )
        return self.admit_unbounded(jobs)

    def admit_unbounded(self, jobs: int) -> Admission:
        """Room without asking, for work that an admitted call hands over."""
        admission = Admission(self, jobs)
        self._admissions.add(admission)
        self.changed()
        return admission

    async def acquire(self, admission: Admission) -> None:
        """Waits until the job may start, then counts it as in flight."""
        started = time.monotonic()
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        admission.waiting.append(ticket)
        if admission not in self._turns:
            self._turns.append(admission)
        self._fill()
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self.release()  # granted and cancelled in the same step
            else:
                self._withdraw(admission, ticket)
            raise
        self._metrics.job_started(time.monotonic() - started)

    def release(self) -> None:
        """A job left the engine, finished or aborted."""
        self._in_flight -= 1
        self._rate.record(time.monotonic())
        self._fill()

    def leave(self, admission: Admission) -> None:
        """The call is over; what it had reserved is free."""
        admission.reserved = 0
        self._admissions.discard(admission)
        if not admission.waiting and admission in self._turns:
            self._drop_turn(admission)
        self.changed()

    def changed(self) -> None:
        """Reports the present numbers."""
        self._metrics.queue_changed(self.waiting_jobs, self._in_flight)

    def _fill(self) -> None:
        while self._in_flight < self._window and self._turns:
            admission = self._turns[0]
            ticket = admission.waiting.popleft()
            admission.reserved = max(0, admission.reserved - 1)
            if not ticket.cancelled():  # else its task is about to notice
                ticket.set_result(None)
                self._in_flight += 1
                self._left_in_turn -= 1
            if not admission.waiting:
                self._drop_turn(admission)
            elif self._left_in_turn <= 0:
                self._turns.rotate(-1)
                self._left_in_turn = self._turn_jobs
        self.changed()

    def _withdraw(self, admission: Admission, ticket: asyncio.Future[None]) -> None:
        if ticket in admission.waiting:
            admission.waiting.remove(ticket)
            admission.reserved = max(0, admission.reserved - 1)
            if not admission.waiting:
                self._drop_turn(admission)
        self.changed()

    def _drop_turn(self, admission: Admission) -> None:
        if self._turns[0] is admission:
            self._left_in_turn = self._turn_jobs
        self._turns.remove(admission)

    def _drain_s(self, jobs: int) -> float:
        rate = self._rate.jobs_per_s(time.monotonic())
        return _MIN_RETRY_S if rate is None else min(_MAX_RETRY_S, max(_MIN_RETRY_S, jobs / rate))
