"""`Quarantine`: what was in the engine when it died runs few at a time, and what it dies of again not at all.

Nothing tells which prompt an engine died of. After a first death all that were in it are suspects: others
still run as ever, suspects one at a time, so that the next death finds one alone. More than `_ALONE` of them
would take too long: they run as many at a time as the root of their number, those of the next death alone.
A text clears its suspect. Known by content: a prompt and its images, whoever sends them, however sampled.
"""

import hashlib
import logging
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.admission.signal import Signal
from edit_rrm_server.errors import QuarantinedError, UnavailableError

_ALONE = 32
_CAPACITY = 4096

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Suspect:
    """In the engine at `deaths` deaths, at the last one with `shared` suspects, itself included."""

    deaths: int
    shared: int
    until: float

    @property
    def guilty(self) -> bool:
        return self.deaths > 1 and self.shared == 1

    @property
    def at_once(self) -> int:
        return 1 if self.shared <= _ALONE else math.ceil(math.sqrt(self.shared))


@dataclass(eq=False)
class _Run:
    """A prompt that is in the engine; `counted` with the ones of its death."""

    key: str
    counted: bool = False


class Quarantine:
    """See the module. Suspicion and refusal last `lasts_s` seconds; 0 suspects nobody.

    `found` is called for every prompt that is refused from then on. `capacity` bounds what is remembered.
    """

    def __init__(
        self,
        lasts_s: float,
        found: Callable[[], object] = lambda: None,
        *,
        capacity: int = _CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lasts_s = lasts_s
        self._found = found
        self._capacity = capacity
        self._clock = clock
        self._suspects: OrderedDict[str, _Suspect] = OrderedDict()
        self._inside: set[_Run] = set()
        self._turns: list[_Suspect] = []
        self._changed = Signal()

    def __len__(self) -> int:
        return len(self._suspects)

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Waits until a prompt may go to the engine; only a suspect has to. Raises QuarantinedError."""
        while (suspect := self._suspect(key)) is not None:
            if suspect.guilty:
                raise QuarantinedError(
                    f"the engine died {suspect.deaths} times with this prompt in it ({key}); "
                    f"it is refused for another {math.ceil(suspect.until - self._clock())} s"
                )
            if len(self._turns) < min(one.at_once for one in [suspect, *self._turns]):
                break
            await self._changed.told()
        if suspect is None:
            yield
            return
        self._turns.append(suspect)
        try:
            yield
        finally:
            self._turns.remove(suspect)
            self._changed.tell()

    @contextmanager
    def inside(self, key: str) -> Iterator[None]:
        """The prompt is in the engine meanwhile; if that works out it is no suspect any more."""
        run = _Run(key)
        self._inside.add(run)
        try:
            yield
            self._suspects.pop(key, None)
        except UnavailableError:
            self.engine_died()  # whoever notices first
            raise
        finally:
            self._inside.discard(run)

    def engine_died(self) -> None:
        """The engine has died with the prompts that are in it. Each is counted once, however often told.

        Where there were suspects among them, the others are none.
        """
        runs = [run for run in self._inside if not run.counted]
        for run in runs:
            run.counted = True
        if not runs or not self._lasts_s:
            return
        keys = {run.key for run in runs}
        keys = {key for key in keys if self._suspect(key) is not None} or keys
        for key in keys:
            self._suspect_again(key, len(keys))
        self._changed.tell()

    def clear(self) -> None:
        """Forgets everything: other weights may live with it."""
        self._suspects.clear()
        self._changed.tell()

    def _suspect_again(self, key: str, shared: int) -> None:
        known = self._suspects.pop(key, None)
        suspect = _Suspect((known.deaths if known else 0) + 1, shared, self._clock() + self._lasts_s)
        self._suspects[key] = suspect
        if suspect.guilty:
            self._found()
            logger.error("prompt %s is refused for %g s: the engine has died of it", key, self._lasts_s)
        while len(self._suspects) > self._capacity:
            self._suspects.popitem(last=False)

    def _suspect(self, key: str) -> _Suspect | None:
        suspect = self._suspects.get(key)
        if suspect is not None and suspect.until <= self._clock():
            del self._suspects[key]
            return None
        return suspect


def prompt_key(prompt: Prompt, images: Mapping[ImageSlot, EditImage], adapter: str) -> str:
    """What a prompt is known by, 16 hex digits: its texts, arguments and images, not how it is sampled."""
    shown = tuple((slot.value, images[slot].digest) for slot in dict.fromkeys(prompt.slots))
    return hashlib.blake2b(repr((prompt, shown, adapter)).encode(), digest_size=8).hexdigest()
