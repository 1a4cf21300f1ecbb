"""Who calls, and how much of the service that caller may have."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from edit_rrm.wire import Priority
from edit_rrm_server.admission.lanes import LANES
from edit_rrm_server.errors import RateLimitedError

_NS_PER_MINUTE = 60_000_000_000
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Caller:
    """The owner of a key, or whoever calls from an address. `name` stands in the log, never the key.

    `lane` is the most urgent one its calls may take, `jobs` what it may have waiting and running at once,
    `tokens_per_minute` what may be written for it, a minute's worth at once.
    """

    name: str
    lane: Priority = LANES[0]
    jobs: int | None = None
    tokens_per_minute: int | None = None

    def lane_for(self, asked: Priority) -> Priority:
        """The lane of a call that asks for one."""
        return max(asked, self.lane, key=LANES.index)


ANYONE = Caller("anyone")


class TokenAllowances:
    """Counts written tokens against each caller's `tokens_per_minute`.

    What a call will cost is known when it is over, so a call is let through as long as the caller owes
    nothing, and its tokens are charged afterwards: the generic cell rate algorithm with a late price.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._full_at_ns: dict[str, int] = {}

    def owed_s(self, caller: Caller) -> float:
        """How long until the caller owes nothing."""
        if caller.tokens_per_minute is None:
            return 0.0
        owed_ns = self._full_at_ns.get(caller.name, 0) - self._clock_ns() - _NS_PER_MINUTE
        return max(0, owed_ns) / _NS_PER_S

    def check(self, caller: Caller) -> None:
        """Raises RateLimitedError while the caller owes tokens."""
        if (owed_s := self.owed_s(caller)) > 0:
            raise RateLimitedError(
                f"{caller.name} has had more than its {caller.tokens_per_minute} tokens a minute", owed_s
            )

    def charge(self, caller: Caller, tokens: int) -> None:
        """Tokens were written for the caller."""
        if caller.tokens_per_minute is None:
            return
        cost_ns = math.ceil(tokens * _NS_PER_MINUTE / caller.tokens_per_minute)
        self._full_at_ns[caller.name] = max(self._clock_ns(), self._full_at_ns.get(caller.name, 0)) + cost_ns
