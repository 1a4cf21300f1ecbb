"""Decoded images of the last calls, so that a known file is not decoded again: a group's source, say."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from edit_rrm.images import EditImage


class KnownImages:
    """The images met last, up to `capacity_bytes` of memory. Safe to use from several threads."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._images: OrderedDict[str, EditImage] = OrderedDict()
        self._making: dict[str, Future[EditImage]] = {}
        self._lock = threading.Lock()
        self.size_bytes = 0

    def get(self, digest: str, make: Callable[[], EditImage]) -> EditImage:
        """The image of that digest, made unless it is known; who asks meanwhile waits for it.

        Raises what `make` raises, to all who wait. A failure is not kept.
        """
        with self._lock:
            known = self._images.get(digest)
            if known is not None:
                self._images.move_to_end(digest)
                return known
            waiting = self._making.get(digest)
            if waiting is None:
                mine: Future[EditImage] = Future()
                self._making[digest] = mine
        if waiting is not None:
            return waiting.result()
        try:
            image = make()
        except BaseException as error:
            self._forget(digest)
            mine.set_exception(error)
            raise
        self._keep(digest, image)
        mine.set_result(image)
        return image

    def _forget(self, digest: str) -> None:
        with self._lock:
            del self._making[digest]

    def _keep(self, digest: str, image: EditImage) -> None:
        with self._lock:
            del self._making[digest]
            if image.held_bytes > self._capacity_bytes:
                return
            self._images[digest] = image
            self.size_bytes += image.held_bytes
            while self.size_bytes > self._capacity_bytes:
                _, dropped = self._images.popitem(last=False)
                self.size_bytes -= dropped.held_bytes
