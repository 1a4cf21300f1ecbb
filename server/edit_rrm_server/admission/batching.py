"""Admission and order: a bounded queue of jobs in front of the engine's window.

A job is one prompt for the engine. A call reserves room for all its jobs at once, before any of its
images is decoded, and is admitted whole or refused whole. Which job starts next is the business of
lanes.py; jobs of one call start together unless something more urgent arrives, so that a group finds
its prefix in the engine's cache.

Everything here runs on the event loop's thread; there are no locks.
"""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType

from edit_rrm.wire import Priority
from edit_rrm_server.admission.callers import ANYONE, Caller
from edit_rrm_server.admission.drain_rate import DrainRate
from edit_rrm_server.admission.lanes import LANES, Lanes
from edit_rrm_server.admission.signal import Signal
from edit_rrm_server.errors import CallerGoneError, DeadlineExceededError, QueueFullError, ServiceError
from edit_rrm_server.observe import tracing
from edit_rrm_server.observe.admission_metrics import AdmissionMetrics, Dropped


class Admission:
    """An admitted call: its room in the queue, its jobs' way into the window. Use as a context manager.

    Leaving it with DeadlineExceededError or CallerGoneError says why its jobs were dropped; a call that is
    answered although its deadline has passed says so by `expire`.
    """

    def __init__(
        self, batcher: "Batcher", jobs: int, lane: Priority, deadline_at: float, owner: Caller
    ) -> None:
        self._batcher = batcher
        self.owner = owner
        self.caller = owner.name
        self.lane = lane
        self.deadline_at = deadline_at
        self.arrived_at = time.monotonic()
        self.reserved = jobs
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.longest_wait_s = 0.0
        self.accounted = (lane, 0)  # what the batcher's counts hold of it
        self._dropped_waiting = 0
        self._aborted = 0
        self._expired = False

    @property
    def pending(self) -> int:
        """Jobs that have not started; further attempts may exceed what was reserved."""
        return max(self.reserved, len(self.waiting))

    @property
    def ready(self) -> bool:
        """Whether a job of it waits for the engine."""
        return bool(self.waiting)

    def release_room(self, jobs: int) -> None:
        """Gives back room for jobs that turned out not to be needed."""
        self.reserved = max(0, self.reserved - jobs)
        self._batcher.recount(self)

    def expire(self) -> None:
        """The deadline has passed: what it has not finished is dropped for that, whatever is answered."""
        self._expired = True

    def promote(self, lane: Priority, deadline_at: float) -> None:
        """Moves the call forward, never back: somebody more urgent waits for it too."""
        self.lane = min(self.lane, lane, key=LANES.index)
        self.deadline_at = min(self.deadline_at, deadline_at)
        self._batcher.reorder(self)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A place in the engine's window for one job, in this call's turn. Cancelling leaves the queue.

        Raises what `Batcher.fail_waiting` was told.
        """
        started = time.monotonic()
        try:
            with tracing.span("queue", lane=self.lane):
                await self._batcher.acquire(self)
        except asyncio.CancelledError:
            self._dropped_waiting += 1
            raise
        self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - started)
        finished = False
        try:
            yield
            finished = True
        except asyncio.CancelledError:
            self._aborted += 1
            raise
        finally:
            self._batcher.release(self.caller, finished)

    def __enter__(self) -> "Admission":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        dropped = self._dropped_waiting + (self.reserved if kind is not None or self._expired else 0)
        self._batcher.leave(self)
        if dropped or self._aborted:
            reason = "expired" if self._expired else _reason(kind)
            self._batcher.metrics.jobs_dropped(reason, dropped, self._aborted)


def _reason(kind: type[BaseException] | None) -> Dropped:
    if kind is not None and issubclass(kind, DeadlineExceededError):
        return "expired"
    if kind is not None and issubclass(kind, CallerGoneError | asyncio.CancelledError):
        return "cancelled"
    return "failed"


class Batcher:
    """See the module. `capacity` and `window` count jobs, `bulk_share` is lanes.py's, `caller_share` the most
    of the capacity that one caller may take.

    Both may be set when an engine turns out to take more or fewer at once.
    """

    def __init__(
        self,
        capacity: int,
        window: int,
        bulk_share: float,
        metrics: AdmissionMetrics,
        caller_share: float = 1.0,
    ) -> None:
        self.metrics = metrics
        self._caller_share = caller_share
        self.capacity = capacity
        self.window = window
        self._admissions: set[Admission] = set()
        self._waiting = dict.fromkeys(LANES, 0)
        self._in_flight = 0
        self._waiting_of: Counter[str] = Counter()
        self._running_of: Counter[str] = Counter()
        self._lanes: Lanes[Admission] = Lanes(bulk_share, self._running_of)
        self._rate = DrainRate()
        self._empty = asyncio.Event()
        self._empty.set()
        self._room: dict[asyncio.Future[None], tuple[int, Priority, Caller]] = {}  # streams that wait
        self.changed = Signal()
        """Told whenever what waits has changed."""

    @property
    def waiting_jobs(self) -> int:
        """Jobs reserved or queued and not started."""
        return sum(self._waiting.values())

    @property
    def waiting_by_lane(self) -> Mapping[Priority, int]:
        """The same, by lane."""
        return self._waiting

    @property
    def jobs_in_flight(self) -> int:
        """Jobs in the engine."""
        return self._in_flight

    def oldest_wait_s(self, lane: Priority) -> float:
        """How long ago the oldest call of the lane with jobs to start arrived; 0 when there is none."""
        arrivals = [a.arrived_at for a in self._admissions if a.lane == lane and a.pending]
        return time.monotonic() - min(arrivals) if arrivals else 0.0

    def admit(
        self,
        jobs: int,
        lane: Priority = "training",
        deadline_at: float = math.inf,
        caller: Caller = ANYONE,
    ) -> Admission:
        """Room for `jobs` jobs. Raises QueueFullError when they do not fit; nothing is queued then.

        A call larger than the whole queue is admitted when nothing else waits, so none is refused forever,
        and one larger than its caller's part when nothing of that caller's waits or runs.
        """
        self.check_room(jobs, caller)
        return self.admit_unbounded(jobs, lane, deadline_at, caller)

    def has_room(self, jobs: int, caller: Caller = ANYONE) -> bool:
        """Whether `admit` would admit a call of `jobs` jobs now."""
        waiting = self.waiting_jobs
        return (not waiting or waiting + jobs <= self.capacity) and self._is_within_part(jobs, caller)

    def check_room(self, jobs: int, caller: Caller = ANYONE) -> None:
        """Raises QueueFullError where `admit` would; that counts as a refusal."""
        if self.has_room(jobs, caller):
            return
        self.metrics.jobs_refused(jobs)
        if not self._is_within_part(jobs, caller):
            has, part = self.jobs_of(caller.name), self._part_of(caller)
            raise QueueFullError(
                f"{caller.name} has {has} jobs of at most {part:g}, and the call needs {jobs}",
                self._rate.wait_s(time.monotonic(), min(has, math.ceil(has + jobs - part))),
            )
        waiting = self.waiting_jobs
        # Too large for the queue: it must drain completely. Otherwise: until the jobs fit.
        excess = waiting if jobs > self.capacity else waiting + jobs - self.capacity
        raise QueueFullError(
            f"{waiting} jobs wait of at most {self.capacity}, and the call needs {jobs}",
            self._rate.wait_s(time.monotonic(), excess),
        )

    def jobs_of(self, caller: str) -> int:
        """Jobs of one caller that wait or run."""
        return self._waiting_of[caller] + self._running_of[caller]

    def admit_unbounded(
        self,
        jobs: int,
        lane: Priority = "training",
        deadline_at: float = math.inf,
        caller: Caller = ANYONE,
    ) -> Admission:
        """Room without asking, for work that an admitted call hands over."""
        admission = Admission(self, jobs, lane, deadline_at, caller)
        self._admissions.add(admission)
        self._empty.clear()
        self.recount(admission)
        return admission

    async def drained(self) -> None:
        """Waits until no admitted call is left. Whoever asks must see to it that none is added."""
        await self._empty.wait()

    async def stream_room(self, jobs: int, lane: Priority = "bulk", caller: Caller = ANYONE) -> None:
        """Waits until a stream may add so many jobs to a lane.

        That is, until the lane holds less than two windows of jobs, or half the queue if that is less, the
        queue has room, and the caller has. This is a stream's backpressure: it keeps the engine full and
        leaves the queue to others.
        """
        while not self._has_stream_room(jobs, lane, caller):
            room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._room[room] = (jobs, lane, caller)
            try:
                await room
            finally:
                self._room.pop(room, None)

    async def acquire(self, admission: Admission) -> None:
        """Waits until the job may start, then counts it as in flight."""
        started = time.monotonic()
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        admission.waiting.append(ticket)
        self.recount(admission)
        self._lanes.enter(admission)
        self._fill()
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled() and ticket.exception() is None:
                self.release(admission.caller, False)  # granted and cancelled in the same step
            else:
                self._withdraw(admission, ticket)
            raise
        waited_s = time.monotonic() - started
        self.metrics.job_started(admission.lane, waited_s, self._in_flight / self.window)

    def release(self, caller: str, finished: bool) -> None:
        """A caller's job left the engine; only what `finished` there tells how fast the queue drains."""
        self._in_flight -= 1
        self._running_of[caller] -= 1
        if not self._running_of[caller]:
            del self._running_of[caller]
        if finished:
            self._rate.record(time.monotonic())
        self._fill()
        self._wake_streams()

    def leave(self, admission: Admission) -> None:
        """The call is over; what it had reserved is free."""
        admission.reserved = 0
        self.recount(admission)
        self._admissions.discard(admission)
        if not self._admissions:
            self._empty.set()
        self._lanes.leave(admission)

    def fail_waiting(self, error: Callable[[], ServiceError]) -> int:
        """Ends every queued job with an `error` of its own: nobody will run them. Returns how many."""
        failed = 0
        for admission in list(self._admissions):
            while admission.waiting:
                ticket = admission.waiting.popleft()
                admission.reserved = max(0, admission.reserved - 1)
                if not ticket.done():
                    ticket.set_exception(error())
                    failed += 1
            self.recount(admission)
        return failed

    def reorder(self, admission: Admission) -> None:
        """The call's lane or deadline has changed."""
        self.recount(admission)
        if admission.waiting:
            self._lanes.enter(admission)

    def recount(self, admission: Admission) -> None:
        """Brings the lane's count up to date with what the call still waits for."""
        lane, count = admission.accounted
        self._waiting[lane] -= count
        self._waiting[admission.lane] += admission.pending
        self._waiting_of[admission.caller] += admission.pending - count
        if not self._waiting_of[admission.caller]:
            del self._waiting_of[admission.caller]
        admission.accounted = (admission.lane, admission.pending)
        self._wake_streams()
        self.changed.tell()

    def _fill(self) -> None:
        while self._in_flight < self.window and (admission := self._lanes.next()) is not None:
            ticket = admission.waiting.popleft()
            admission.reserved = max(0, admission.reserved - 1)
            self.recount(admission)
            if not ticket.cancelled():  # else its task is about to notice
                ticket.set_result(None)
                self._in_flight += 1
                self._running_of[admission.caller] += 1
        self.metrics.jobs_in_flight(self._in_flight)

    def _withdraw(self, admission: Admission, ticket: asyncio.Future[None]) -> None:
        if ticket in admission.waiting:
            admission.waiting.remove(ticket)
            admission.reserved = max(0, admission.reserved - 1)
            self.recount(admission)

    def _wake_streams(self) -> None:
        """One at a time, the first that waits: whoever is woken takes its room before another is."""
        for room, wanted in self._room.items():
            if not room.done() and self._has_stream_room(*wanted):
                room.set_result(None)
                return

    def _has_stream_room(self, jobs: int, lane: Priority, caller: Caller) -> bool:
        of_lane = self._waiting[lane]
        if of_lane >= min(2 * self.window, max(1, self.capacity // 2)):
            return False
        has_queue = not of_lane or self.waiting_jobs + jobs <= self.capacity
        return has_queue and self._is_within_part(jobs, caller)

    def _is_within_part(self, jobs: int, caller: Caller) -> bool:
        has = self.jobs_of(caller.name)
        return not has or has + jobs <= self._part_of(caller)

    def _part_of(self, caller: Caller) -> float:
        part = self._caller_share * self.capacity if self._caller_share < 1.0 else math.inf
        return part if caller.jobs is None else min(part, caller.jobs)
