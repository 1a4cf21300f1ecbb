"""When to try again, and how long to wait first. Pure: the clock and the dice belong to the caller."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class RetryPolicy:
    """How persistent a call is within its total deadline.

    Only refusals before any work (408, 429, 503, a gateway's own 502) and missing answers (connection
    lost, refused or timed out) are tried again. Scoring changes nothing in the service, so a repeated
    call is harmless.
    """

    attempts: int = 8
    """Requests in all, over all services, the first included."""
    initial_backoff_s: float = 0.5
    """Upper end of the first wait; it doubles with each further failure."""
    max_backoff_s: float = 20.0
    """Where the doubling ends. A longer `Retry-After` is still honoured."""
    connect_timeout_s: float = 5.0
    """How long one connection may take to be made."""
    attempt_timeout_s: float | None = None
    """How long one attempt may wait for its answer; None: as long as the total deadline allows."""

    set_aside_s: float = 10.0
    """How long a service that was not available is asked last, where the client knows several."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts must be at least 1, got {self.attempts}")
        positive = (
            "initial_backoff_s",
            "max_backoff_s",
            "connect_timeout_s",
            "attempt_timeout_s",
            "set_aside_s",
        )
        for field in positive:
            value = getattr(self, field)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{field} must be a positive number of seconds, got {value}")

    def wait_s(self, failures: int, retry_after_s: float | None, dice: float) -> float:
        """Seconds to wait after the `failures`-th failure; `dice` lies in [0, 1).

        Half of the exponential backoff is fixed and half is drawn, so that the workers of one
        trainer spread out; a `Retry-After` is waited for in full before that.
        """
        ceiling_s = min(self.max_backoff_s, math.ldexp(self.initial_backoff_s, min(failures - 1, 30)))
        if retry_after_s is not None:
            return retry_after_s + ceiling_s * dice / 2
        return ceiling_s * (1 + dice) / 2


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
