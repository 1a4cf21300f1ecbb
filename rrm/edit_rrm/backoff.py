"""How long to wait before trying again. Pure: the clock and the dice belong to the caller."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Backoff:
    """Waits that double from `initial_s` with every failure, up to `max_s`."""

    initial_s: float
    max_s: float

    def ceiling_s(self, failures: int) -> float:
        """The longest wait after the `failures`-th failure, from 1."""
        # The exponent is bounded: a float overflows long after the cap is reached.
        return min(self.max_s, math.ldexp(self.initial_s, max(0, min(failures - 1, 30))))

    def wait_s(self, failures: int, retry_after_s: float | None, dice: float) -> float:
        """Seconds to wait after the `failures`-th failure; `dice` lies in [0, 1).

        Half of the backoff is fixed and half is drawn, so that callers that failed together spread out; a
        `Retry-After` is waited for in full before the drawn half, however long it is.
        """
        half_s = self.ceiling_s(failures) / 2
        return (half_s if retry_after_s is None else retry_after_s) + half_s * dice


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds from a `Retry-After` header (a number or an HTTP date); None when there is none to use."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
