"""Images as PNG data URLs, encoded off the event loop and kept: every prompt of a group sends its source."""

import asyncio
import base64
from collections import OrderedDict

from edit_rrm.images import EditImage, encode_png


class ImageUrls:
    """The URLs of the images asked for last, up to `capacity_bytes`. One image is encoded once at a time."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._urls: OrderedDict[str, str] = OrderedDict()  # by digest
        self._encoding: dict[str, asyncio.Task[str]] = {}
        self.size_bytes = 0

    async def url(self, image: EditImage) -> str:
        """The image as a data URL, pixel for pixel."""
        known = self._urls.get(image.digest)
        if known is not None:
            self._urls.move_to_end(image.digest)
            return known
        encoding = self._encoding.get(image.digest)
        if encoding is None:
            encoding = asyncio.create_task(self._encode(image))
            self._encoding[image.digest] = encoding
        return await asyncio.shield(encoding)  # others may wait for it too

    async def _encode(self, image: EditImage) -> str:
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


def _data_url(image: EditImage) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_png(image.image)).decode("ascii")
