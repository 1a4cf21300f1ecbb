"""The services behind one client: which of them the next request goes to. Knows no HTTP and no retries."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from edit_rrm_client._endpoints import Endpoint


@dataclass
class Replica:
    """One service and what its last answers taught; times are on the client's clock."""

    endpoint: Endpoint
    outstanding: int = 0
    chosen_as: int = 0
    aside_until_s: float | None = None
    asked_until_s: float | None = None
    """When the service wants to be asked again (`Retry-After`); None when it did not say."""
    retry_after_s: float | None = None


class Replicas:
    """Chooses the replica that is not set aside and has the fewest outstanding requests.

    Equals take turns. While all are set aside, the one that wants to be asked soonest is taken: being
    set aside is a preference, never a refusal to try. Safe to share between threads.
    """

    def __init__(self, endpoints: Sequence[Endpoint], clock: Callable[[], float]) -> None:
        self._replicas = [Replica(endpoint) for endpoint in endpoints]
        self._clock = clock
        self._lock = threading.Lock()
        self._choices = 0

    def __iter__(self) -> Iterator[Replica]:
        return iter(self._replicas)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where they listen."""
        return tuple(replica.endpoint.base_url for replica in self._replicas)

    @contextmanager
    def borrowed(self) -> Iterator[Replica]:
        """The replica for one request, counted as outstanding until the block ends."""
        with self._lock:
            now_s = self._clock()
            replica = min(self._at_hand(now_s), key=_burden, default=None) or self._soonest(now_s)
            self._choices += 1
            replica.chosen_as = self._choices
            replica.outstanding += 1
        try:
            yield replica
        finally:
            with self._lock:
                replica.outstanding -= 1

    def set_aside(self, replica: Replica, seconds: float, retry_after_s: float | None = None) -> None:
        """Prefers the others for `seconds`, or for as long as the service asked for."""
        with self._lock:
            now_s = self._clock()
            replica.aside_until_s = now_s + (seconds if retry_after_s is None else retry_after_s)
            replica.asked_until_s = None if retry_after_s is None else replica.aside_until_s
            replica.retry_after_s = retry_after_s

    def take_back(self, replica: Replica) -> None:
        """The replica answered: nothing speaks against it any longer."""
        with self._lock:
            replica.aside_until_s = replica.asked_until_s = replica.retry_after_s = None

    def any_at_hand(self) -> bool:
        """Whether one of them is not set aside."""
        with self._lock:
            return bool(self._at_hand(self._clock()))

    def asked_wait_s(self, failed: Replica) -> float | None:
        """Seconds until the soonest replica wants to be asked again; None when it did not say.

        `failed` was set aside just now: its `Retry-After` is taken whole.
        """
        with self._lock:
            now_s = self._clock()
            soonest = self._soonest(now_s)
            if soonest is failed or soonest.asked_until_s is None:
                return soonest.retry_after_s
            return max(0.0, soonest.asked_until_s - now_s)

    def _at_hand(self, now_s: float) -> list[Replica]:
        return [r for r in self._replicas if r.aside_until_s is None or r.aside_until_s <= now_s]

    def _soonest(self, now_s: float) -> Replica:
        return min(
            self._replicas,
            key=lambda replica: (max(0.0, (replica.asked_until_s or now_s) - now_s), *_burden(replica)),
        )


def _burden(replica: Replica) -> tuple[int, int]:
    return replica.outstanding, replica.chosen_as
