"""Room in memory or on disk: how many bytes of one kind the service holds at once, over all calls.

Knows nothing of HTTP or pictures. Everything here runs on the event loop's thread; there are no locks.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Literal, Protocol

from edit_rrm.wire import Priority
from edit_rrm_server.admission.callers import ANYONE
from edit_rrm_server.admission.drain_rate import DrainRate
from edit_rrm_server.admission.lanes import Lanes
from edit_rrm_server.admission.signal import Signal
from edit_rrm_server.errors import MemoryFullError

Resource = Literal["bodies", "pictures", "answers"]
"""Bodies of requests, decoded pictures, answers that their callers have not read."""


class HeldMetrics(Protocol):
    """What a budget reports."""

    def refused(self, resource: str) -> None:
        """Somebody found no room."""
        ...


class ByteBudget:
    """`capacity_bytes` of one resource. `clock` gives monotonic seconds."""

    def __init__(
        self,
        resource: Resource,
        capacity_bytes: int,
        metrics: HeldMetrics,
        *,
        bulk_share: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.resource = resource
        self.capacity_bytes = capacity_bytes
        self._metrics = metrics
        self._clock = clock
        self._held_bytes = 0
        self._rate = DrainRate()
        self._waiting: Lanes[_Waiting] = Lanes(bulk_share)
        self._first: _Waiting | None = None
        self.changed = Signal()
        """Told whenever bytes were given back."""

    @property
    def held_bytes(self) -> int:
        """Bytes taken now."""
        return self._held_bytes

    def share(self) -> "Share":
        """One holder's part, empty at first. Use as a context manager, as long as it holds something."""
        return Share(self)

    def has_room(self, count: int) -> bool:
        """Whether `take` would take `count` bytes now."""
        return self._held_bytes + count <= self.capacity_bytes

    def check(self, count: int) -> None:
        """Raises MemoryFullError where `take` would; nothing is taken."""
        if not self.has_room(count):
            raise self.refusal(count)

    def refusal(self, count: int) -> MemoryFullError:
        """What somebody is told for whom there is no room, which counts as a refusal."""
        self._metrics.refused(self.resource)
        excess = self._held_bytes + count - self.capacity_bytes
        return MemoryFullError(
            f"{self.resource} hold {self._held_bytes} bytes of at most {self.capacity_bytes}, "
            f"and {count} more are needed",
            self._rate.wait_s(self._clock(), max(1, excess)),
        )

    def take(self, count: int) -> None:
        """Takes bytes. Raises MemoryFullError when they do not fit; nothing is taken then."""
        self.check(count)
        self._held_bytes += count

    def overdraw(self, count: int) -> None:
        """Takes bytes whether they fit or not."""
        self._held_bytes += count

    async def wait(
        self,
        count: int,
        lane: Priority = "training",
        deadline_at: float = math.inf,
        caller: str = ANYONE.name,
    ) -> None:
        """Takes bytes once they fit, in the order of lanes.py; more than can ever fit, once none are held."""
        waiting = _Waiting(count, lane, deadline_at, caller)
        self._waiting.enter(waiting)
        self._grant()
        try:
            await waiting.granted
        except asyncio.CancelledError:
            if waiting.granted.done() and not waiting.granted.cancelled():
                self.free(count)  # granted and cancelled in the same step
            else:
                self._grant()  # the next one may fit
            raise
        finally:
            self._waiting.leave(waiting)

    def free(self, count: int) -> None:
        """Gives bytes back."""
        self._held_bytes -= count
        if count:
            self._rate.record(self._clock(), count)
            self._grant()
            self.changed.tell()

    def _grant(self) -> None:
        """Gives those who wait what there is, the first of them first, however much the others need."""
        while (first := self._first or self._waiting.next()) is not None:
            self._first = first
            if not first.granted.done():
                if self._held_bytes and not self.has_room(first.count):
                    return
                self._held_bytes += first.count
                first.granted.set_result(None)
            self._first = None
            self._waiting.leave(first)


class _Waiting:
    """Who waits for bytes, as the lanes see it."""

    def __init__(self, count: int, lane: Priority, deadline_at: float, caller: str) -> None:
        self.count = count
        self.lane = lane
        self.deadline_at = deadline_at
        self.caller = caller
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def ready(self) -> bool:
        return not self.granted.done()


class Share:
    """The room that one holder has; leaving the context gives back whatever it is."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held_bytes = 0

    def check(self, count: int) -> None:
        """Raises MemoryFullError where `take` would."""
        self._budget.check(count)

    def take(self, count: int) -> None:
        """Takes further bytes. Raises MemoryFullError."""
        self._budget.take(count)
        self.held_bytes += count

    def has_room(self, count: int) -> bool:
        """Whether `take` would take them."""
        return self._budget.has_room(count)

    def overdraw(self, count: int) -> None:
        """Takes further bytes whether they fit or not."""
        self._budget.overdraw(count)
        self.held_bytes += count

    async def wait(self, count: int, lane: Priority = "bulk", timeout_s: float | None = None) -> None:
        """Takes further bytes once they fit. Raises MemoryFullError when they did not within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._budget.wait(count, lane)
        except TimeoutError:
            raise self._budget.refusal(count) from None
        self.held_bytes += count

    def free(self, count: int) -> None:
        """Gives some back."""
        self.held_bytes -= count
        self._budget.free(count)

    def __enter__(self) -> "Share":
        return self

    def __exit__(self, *_: object) -> None:
        self.free(self.held_bytes)
