"""The order in which queued calls start their jobs: lanes by priority, in one the caller that has least
running, of its calls the one with the earliest deadline.

Strict priority starves bulk work under constant load, so the bulk lane is owed a share of the starts
while it waits. Pure bookkeeping: no clock, no tasks.
"""

import heapq
import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from edit_rrm.wire import Priority

LANES: tuple[Priority, ...] = ("interactive", "training", "bulk")
"""Most urgent first."""


class Queued(Protocol):
    """A call as the lanes see it."""

    lane: Priority
    deadline_at: float  # monotonic seconds
    caller: str

    @property
    def ready(self) -> bool:
        """Whether it has a job to start."""
        ...


Q = TypeVar("Q", bound=Queued)


class Lanes(Generic[Q]):
    """Calls with jobs to start. A call may be entered again at any time; stale entries are dropped late.

    `bulk_share` is the least share of starts that bulk calls get while one of them waits, 0 to 1.
    """

    def __init__(self, bulk_share: float, running: Mapping[str, int] = MappingProxyType({})) -> None:
        """`running` tells how many jobs of each caller run."""
        self._bulk_share = bulk_share
        self._running = running
        self._bulk_credit = 0.0
        self._heaps: dict[Priority, dict[str, list[tuple[float, int, Q]]]] = {lane: {} for lane in LANES}
        self._arrivals = itertools.count()
        self._entered: dict[int, tuple[Priority, float]] = {}
        self._order: dict[int, int] = {}

    def enter(self, call: Q) -> None:
        """Puts a call where its lane and deadline say; its arrival is that of its first entry."""
        place = (call.lane, call.deadline_at)
        if self._entered.get(id(call)) != place:
            arrival = self._order.setdefault(id(call), next(self._arrivals))
            self._entered[id(call)] = place
            heap = self._heaps[call.lane].setdefault(call.caller, [])
            heapq.heappush(heap, (call.deadline_at, arrival, call))

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
        heaps = self._heaps[lane]
        for caller in list(heaps):
            self._drop_stale(heaps[caller], lane)
            if not heaps[caller]:
                del heaps[caller]
        if not heaps:
            return None
        least = min(heaps, key=lambda caller: (self._running.get(caller, 0), heaps[caller][0][:2]))
        return heaps[least][0][2]

    def _drop_stale(self, heap: list[tuple[float, int, Q]], lane: Priority) -> None:
        while heap:
            deadline_at, _, call = heap[0]
            is_current = self._entered.get(id(call)) == (lane, deadline_at)
            if is_current and call.ready:
                return
            heapq.heappop(heap)
            if is_current:
                del self._entered[id(call)]
