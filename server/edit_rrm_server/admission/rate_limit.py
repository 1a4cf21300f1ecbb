"""Calls per second: a token bucket for each caller, the callers bounded in number.

A bucket is kept as the one instant at which it will be full again, in whole nanoseconds, so that its
promises hold exactly and not up to rounding (the generic cell rate algorithm, ITU-T I.371, annex A).
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address

from edit_rrm_server.errors import RateLimitedError

_NS_PER_S = 1_000_000_000
_MAX_BUCKETS = 4096
# Whoever has one IPv6 address has the 2^64 of its network.
_IPV6_NETWORK_BITS = 64


class TokenBucket:
    """Holds up to `burst` tokens, gains `rate_per_s` a second, starts full; one call takes one token.

    In any span of t seconds at most `burst + rate_per_s * t` calls are admitted.
    """

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._token_ns = math.ceil(_NS_PER_S / rate_per_s)
        self._full_ns = self._token_ns * burst
        self._full_at_ns: int | None = None

    def take(self, now_ns: int) -> int:
        """0 if the call is admitted, else the nanoseconds until one would be; a refusal takes nothing.

        `now_ns` is of a clock that never goes back.
        """
        full_at_ns = max(now_ns, self._full_at_ns or now_ns) + self._token_ns
        wait_ns = max(0, full_at_ns - now_ns - self._full_ns)
        if wait_ns == 0:
            self._full_at_ns = full_at_ns
        return wait_ns


class RateLimiter:
    """A bucket for each caller. Beyond `max_buckets`, who has not called for longest starts anew, full."""

    def __init__(
        self,
        rate_per_s: float,
        burst: int,
        max_buckets: int = _MAX_BUCKETS,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._max_buckets = max_buckets
        self._clock_ns = clock_ns
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        """Buckets held."""
        return len(self._buckets)

    def admit(self, caller: str) -> None:
        """Counts a call. Raises RateLimitedError, which says how long until the caller may call."""
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = TokenBucket(self._rate_per_s, self._burst)
            if len(self._buckets) > self._max_buckets:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(caller)
        wait_ns = bucket.take(self._clock_ns())
        if wait_ns:
            allowed = f"{self._rate_per_s:g} calls a second and {self._burst} at once"
            raise RateLimitedError(f"expected at most {allowed} from one caller", wait_ns / _NS_PER_S)


def caller_at(address: str | None) -> str:
    """Who calls from an address: an IPv6 network counts as one caller, and so does all without an address."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return f"address {address}"
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is None:
        return f"address {IPv6Network((int(ip), _IPV6_NETWORK_BITS), strict=False)}"
    return f"address {ip}"
