"""How fast something drains, measured over the last half minute, and what that makes of a wait."""

from collections import deque

_SPAN_S = 30.0
_MIN_WAIT_S, _MAX_WAIT_S = 1.0, 120.0


class DrainRate:
    """Amounts (jobs, bytes) that became free, with the monotonic second of each."""

    def __init__(self) -> None:
        self._freed: deque[tuple[float, int]] = deque(maxlen=4096)

    def record(self, now: float, amount: int = 1) -> None:
        """`amount` became free at `now`."""
        self._freed.append((now, amount))

    def per_s(self, now: float) -> float | None:
        """Amount a second; None until two records lie within the span."""
        while self._freed and now - self._freed[0][0] > _SPAN_S:
            self._freed.popleft()
        if len(self._freed) < 2:
            return None
        return sum(amount for _, amount in self._freed) / max(now - self._freed[0][0], 1e-3)

    def wait_s(self, now: float, amount: int) -> float:
        """How long until `amount` more will be free, 1 to 120 s; 1 while the rate is not known."""
        rate = self.per_s(now)
        return _MIN_WAIT_S if rate is None else min(_MAX_WAIT_S, max(_MIN_WAIT_S, amount / rate))
