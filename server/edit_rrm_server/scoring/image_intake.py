"""Images in and checked, off the event loop, in a bounded pool of threads."""

import asyncio
import base64
import binascii
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from edit_rrm.guards import EditGuards, GuardModes, GuardResult, GuardSettings
from edit_rrm.images import EditImage, ImageLimits, decode_image
from edit_rrm_server.errors import RequestRefusedError

T = TypeVar("T")


class ImageIntake:
    """Decodes images, runs the guards on them, brings them to other sizes."""

    def __init__(self, guards: GuardSettings, threads: int) -> None:
        self._guards = guards
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="images")

    async def decode(self, encoded: bytes | str, path: str, limits: ImageLimits) -> EditImage:
        """An image from a file's bytes or their base64 text. `path` names the field in errors.

        Raises ImageError, and RequestRefusedError (invalid_request) for text that is not base64.
        """
        return await self._run(lambda: decode_image(_file_bytes(encoded, path), limits))

    def guards_of(self, source: EditImage, instruction: str, modes: GuardModes) -> EditGuards:
        """The guards of one edit, for `check`."""
        return EditGuards(source, self._guards, instruction=instruction, modes=modes)

    async def check(self, guards: EditGuards, candidate: EditImage) -> tuple[GuardResult, ...]:
        """The guards' findings on one candidate."""
        return await self._run(lambda: guards.check(candidate))

    async def change_map(self, guards: EditGuards, candidate: EditImage) -> str:
        """A picture of where the candidate changed: a JPEG's base64."""
        return await self._run(lambda: _encoded(guards.change_map(candidate).drawn_on(candidate.image)))

    async def resized(self, image: EditImage, like: EditImage) -> EditImage:
        """The image in the size of another."""
        return await self._run(lambda: image.in_size_of(like))

    def close(self) -> None:
        """Ends the threads; work that has not begun is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _encoded(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _file_bytes(encoded: bytes | str, path: str) -> bytes:
    if isinstance(encoded, bytes):
        return encoded
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestRefusedError("invalid_request", f"{path}: is not base64: {error}") from error
