"""Room for request bodies: how many bytes of them the service holds at once, over all calls.

A call takes the room before its body is read and keeps it for as long as the body is in memory.
Knows nothing of HTTP. Everything here runs on the event loop's thread; there are no locks.
"""

import time
from collections.abc import Callable

from edit_rrm_server.admission.drain_rate import DrainRate
from edit_rrm_server.admission.signal import Signal
from edit_rrm_server.errors import QueueFullError


class BodyBudget:
    """`capacity_bytes` for the bodies of all calls. `clock` gives monotonic seconds."""

    def __init__(self, capacity_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity_bytes = capacity_bytes
        self._clock = clock
        self._held_bytes = 0
        self._rate = DrainRate()
        self.changed = Signal()
        """Told whenever bytes were given back."""

    @property
    def held_bytes(self) -> int:
        """Bytes taken now."""
        return self._held_bytes

    def share(self) -> "BodyShare":
        """One call's part, empty at first. Use as a context manager, as long as the call has its body."""
        return BodyShare(self)

    def has_room(self, count: int) -> bool:
        """Whether `take` would take `count` bytes now."""
        return self._held_bytes + count <= self._capacity_bytes

    def take(self, count: int) -> None:
        """Takes bytes. Raises QueueFullError when they do not fit; nothing is taken then."""
        excess = self._held_bytes + count - self._capacity_bytes
        if excess > 0:
            raise QueueFullError(
                f"request bodies hold {self._held_bytes} bytes of at most {self._capacity_bytes}, "
                f"and this one needs {count}",
                self._rate.wait_s(self._clock(), excess),
            )
        self._held_bytes += count

    def free(self, count: int) -> None:
        """Gives bytes back."""
        self._held_bytes -= count
        if count:
            self._rate.record(self._clock(), count)
            self.changed.tell()


class BodyShare:
    """The room that one call holds; leaving the context gives back whatever it is."""

    def __init__(self, room: BodyBudget) -> None:
        self._room = room
        self._bytes = 0

    def take(self, count: int) -> None:
        """Takes further bytes. Raises QueueFullError."""
        self._room.take(count)
        self._bytes += count

    def shrink_to(self, count: int) -> None:
        """Keeps `count` bytes of those taken, for a body that was shorter than it might have been."""
        surplus = max(0, self._bytes - count)
        self._bytes -= surplus
        self._room.free(surplus)

    def __enter__(self) -> "BodyShare":
        return self

    def __exit__(self, *_: object) -> None:
        self.shrink_to(0)
