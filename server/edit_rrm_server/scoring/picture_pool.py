"""Threads that work on pictures: those of the first lane first, in a lane what is nearest its end."""

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal, TypeVar

from edit_rrm.wire import Priority
from edit_rrm_server.admission.lanes import LANES

T = TypeVar("T")
Stage = Literal["decode", "check"]
_LAST_OF_ALL = 2 * len(LANES)


class PicturePool:
    """So many threads. A candidate that is decoded is checked before the next one is decoded, so that the
    first ones reach the engine soon. Work that nobody waits for any more is not begun.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._waiting: queue.PriorityQueue[tuple[int, int, Future[Any] | None, Callable[[], Any]]]
        self._waiting = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._closed = False
        self._begun = False

    async def run(self, work: Callable[[], T], lane: Priority, stage: Stage) -> T:
        """What `work` gives, done in a thread. Raises what it raises."""
        urgency = 2 * LANES.index(lane) + (stage == "decode")
        if not self._begun:
            self._begin()
        done: Future[T] = Future()
        self._waiting.put((urgency, next(self._numbers), done, work))
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Ends the threads once they have done what they are at; work that has not begun is dropped."""
        self._closed = True
        for _ in range(self.threads):
            self._waiting.put((_LAST_OF_ALL, next(self._numbers), None, lambda: None))

    def _begin(self) -> None:
        self._begun = True
        for number in range(self.threads):
            threading.Thread(target=self._work, name=f"images_{number}", daemon=True).start()

    def _work(self) -> None:
        while True:
            _, _, done, work = self._waiting.get()
            if done is None:
                return
            if self._closed:
                done.cancel()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                done.set_result(work())
            except BaseException as error:  # whoever waits is told
                done.set_exception(error)
            del done, work  # a picture must not be held until the next one comes
