"""Images as data URLs, made off the event loop and kept: every prompt of a group sends its source."""

import asyncio
from collections import OrderedDict

import pybase64

from edit_rrm.images import EditImage, encode_png

_KINDS = {b"\x89PNG": b"png", b"\xff\xd8": b"jpeg"}  # by how a file begins


class ImageUrls:
    """The URLs of the images asked for last, up to `capacity_bytes`. One image is encoded once at a time."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._urls: OrderedDict[str, bytes] = OrderedDict()  # by digest
        self._encoding: dict[str, asyncio.Task[bytes]] = {}
        self.size_bytes = 0

    async def url(self, image: EditImage) -> bytes:
        """The image as a data URL, pixel for pixel: its file where that shows these pixels, else a PNG."""
        known = self._urls.get(image.digest)
        if known is not None:
            self._urls.move_to_end(image.digest)
            return known
        encoding = self._encoding.get(image.digest)
        if encoding is None:
            encoding = asyncio.create_task(self._encode(image))
            self._encoding[image.digest] = encoding
        return await asyncio.shield(encoding)  # others may wait for it too

    async def _encode(self, image: EditImage) -> bytes:
        try:
            url = await asyncio.to_thread(_data_url, image)
        finally:
            del self._encoding[image.digest]
        self._urls[image.digest] = url
        self.size_bytes += len(url)
        while self.size_bytes > self._capacity_bytes:
            _, dropped = self._urls.popitem(last=False)
            self.size_bytes -= len(dropped)
        return url


def _data_url(image: EditImage) -> bytes:
    file = image.file or encode_png(image.image)
    kind = next((kind for start, kind in _KINDS.items() if file.startswith(start)), b"webp")
    return b"data:image/%s;base64,%s" % (kind, pybase64.b64encode(file))
