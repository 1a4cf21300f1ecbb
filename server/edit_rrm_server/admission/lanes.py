"""The order in which queued calls start their jobs: lanes by priority, earliest deadline first within one.

Strict priority starves bulk work under constant load, so the bulk lane is owed a share of the starts
while it waits. Pure bookkeeping: no clock, no tasks.
"""

import heapq
import itertools
from typing import Generic, Protocol, TypeVar

from edit_rrm.wire import Priority

LANES: tuple[Priority, ...] = ("interactive", "training", "bulk")
"""Most urgent first."""


class Queued(Protocol):
    """A call as the lanes see it."""

    lane: Priority
    deadline_at: float  # monotonic seconds

    @property
    def ready(self) -> bool:
        """Whether it has a job to start."""
        ...


Q = TypeVar("Q", bound=Queued)


class Lanes(Generic[Q]):
    """Calls with jobs to start. A call may be entered again at any time; stale entries are dropped late.

    `bulk_share` is the least share of starts that bulk calls get while one of them waits, 0 to 1.
    """

    def __init__(self, bulk_share: float) -> None:
        self._bulk_share = bulk_share
        self._bulk_credit = 0.0
        self._heaps: dict[Priority, list[tuple[float, int, Q]]] = {lane: [] for lane in LANES}
        self._arrivals = itertools.count()
        self._entered: dict[int, tuple[Priority, float]] = {}
        self._order: dict[int, int] = {}

    def enter(self, call: Q) -> None:
        """Puts a call where its lane and deadline say; its arrival is that of its first entry."""
        place = (call.lane, call.deadline_at)
        if self._entered.get(id(call)) != place:
            arrival = self._order.setdefault(id(call), next(self._arrivals))
            self._entered[id(call)] = place
            heapq.heappush(self._heaps[call.lane], (call.deadline_at, arrival, call))

    def leave(self, call: Q) -> None:
        """Forgets a call; its entries are dropped when they come up."""
        self._entered.pop(id(call), None)
        self._order.pop(id(call), None)

    def next(self) -> Q | None:
        """The call that may start one job now; None when no call has one."""
        first = {lane: call for lane in LANES if (call := self._first(lane)) is not None}
        if not first:
            return None
        if "bulk" not in first:
            self._bulk_credit = 0.0
            return first[min(first, key=LANES.index)]
        if len(first) > 1 and self._bulk_credit < 1.0:
            # One bulk start pays for (1 - share) / share others.
            self._bulk_credit += self._bulk_share / (1.0 - self._bulk_share)
            return first[min(first, key=LANES.index)]
        if len(first) > 1:
            self._bulk_credit -= 1.0
        return first["bulk"]

    def _first(self, lane: Priority) -> Q | None:
        heap = self._heaps[lane]
        while heap:
            deadline_at, _, call = heap[0]
            if call.ready and self._entered.get(id(call)) == (lane, deadline_at):
                return call
            heapq.heappop(heap)
            if self._entered.get(id(call)) == (lane, deadline_at):
                del self._entered[id(call)]
        return None
