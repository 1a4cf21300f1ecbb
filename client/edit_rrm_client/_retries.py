"""When to try again, and how long to wait first. Pure: the clock and the dice belong to the caller."""

import math
from dataclasses import dataclass

from edit_rrm.backoff import Backoff


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

        See `Backoff.wait_s`.
        """
        return Backoff(self.initial_backoff_s, self.max_backoff_s).wait_s(failures, retry_after_s, dice)
