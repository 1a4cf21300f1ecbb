"""Images in and checked, off the event loop, in a bounded pool of threads."""

import binascii
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pybase64
from PIL import Image

from edit_rrm.guards import EditGuards, GuardModes, GuardResult, GuardSettings
from edit_rrm.images import EditImage, ImageLimits, decode_image, decoded_bytes, file_digest
from edit_rrm.wire import Priority
from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.scoring.known_images import KnownImages
from edit_rrm_server.scoring.picture_pool import PicturePool


class Pieces(Protocol):
    """A file that came in pieces."""

    def whole(self) -> bytes:
        """Its bytes."""
        ...


Encoded = Pieces | str
File = bytes | RequestRefusedError
"""A file, or why a text is none."""


@dataclass(frozen=True)
class Opened:
    """The files of a call, and the sum of what they will take once they are decoded."""

    files: dict[str, File]
    decoded_bytes: int


class ImageIntake:
    """Decodes images, runs the guards on them, brings them to other sizes."""

    def __init__(
        self, guards: GuardSettings, threads: int, known_bytes: int = 0, *, keep_files: bool = False
    ) -> None:
        """`known_bytes` of images stay decoded; `keep_files` keeps the files beside, to be passed on."""
        self._guards = guards
        self._known = KnownImages(known_bytes)
        self.keeps_files = keep_files
        self._pool = PicturePool(threads)

    @property
    def threads(self) -> int:
        """That work on pictures."""
        return self._pool.threads

    async def open(self, encoded: Mapping[str, Encoded], limits: ImageLimits, lane: Priority) -> "Opened":
        """The files of a call's images, by their fields, and what they will take once they are decoded."""
        return await self._pool.run(lambda: _opened(encoded, limits), lane, "check")

    async def decode(self, file: bytes, limits: ImageLimits, lane: Priority) -> EditImage:
        """The image of a file. Raises ImageError."""
        return await self._pool.run(lambda: self._decoded(file, limits), lane, "decode")

    def guards_of(self, source: EditImage, instruction: str, modes: GuardModes) -> EditGuards:
        """The guards of one edit, for `check`."""
        return EditGuards(source, self._guards, instruction=instruction, modes=modes)

    async def check(
        self, guards: EditGuards, candidate: EditImage, lane: Priority
    ) -> tuple[GuardResult, ...]:
        """The guards' findings on one candidate."""
        return await self._pool.run(lambda: guards.check(candidate), lane, "check")

    async def change_map(self, guards: EditGuards, candidate: EditImage, lane: Priority) -> str:
        """A picture of where the candidate changed: a JPEG's base64."""

        def draw() -> str:
            return _encoded(guards.change_map(candidate).drawn_on(candidate.image))

        return await self._pool.run(draw, lane, "check")

    async def resized(self, image: EditImage, like: EditImage, lane: Priority) -> EditImage:
        """The image in the size of another."""
        if image.image.size == like.image.size:
            return image
        return await self._pool.run(lambda: image.in_size_of(like), lane, "check")

    def close(self) -> None:
        """Ends the threads; work that has not begun is dropped."""
        self._pool.close()

    def _decoded(self, data: bytes, limits: ImageLimits) -> EditImage:
        digest = file_digest(data, limits.scale)
        return self._known.get(
            digest, lambda: decode_image(data, limits, digest=digest, keep_file=self.keeps_files)
        )


def image_threads() -> int:
    """As many as there are cores to run on, two at least: decoding leaves the interpreter to others."""
    return max(2, len(os.sched_getaffinity(0)))


def _encoded(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return pybase64.b64encode_as_string(buffer.getvalue())


def _opened(encoded: Mapping[str, Encoded], limits: ImageLimits) -> Opened:
    files: dict[str, File] = {}
    for path, one in encoded.items():
        try:
            files[path] = _file_bytes(one, path)
        except RequestRefusedError as error:
            files[path] = error
    sizes = (decoded_bytes(file, limits) for file in files.values() if isinstance(file, bytes))
    return Opened(files, sum(sizes))


def _file_bytes(encoded: Encoded, path: str) -> bytes:
    if not isinstance(encoded, str):
        return encoded.whole()
    try:
        return pybase64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestRefusedError("invalid_request", f"{path}: is not base64: {error}") from error
