"""Images on their way out: files and bytes go as they are, pixels go as PNG. Nothing is guessed."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edit_rrm_client.errors import InvalidImageError

ImageInput: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | Image.Image | NDArray[np.uint8]"
"""What the client takes as an image.

- a path (str or PathLike) or the bytes of a PNG, JPEG or WebP file: sent unchanged;
- a PIL image of mode 1, L, LA, P, RGB or RGBA: sent as PNG, upright (its EXIF rotation is applied);
- a numpy array of dtype uint8 and shape (height, width, 3), RGB, 0 to 255: sent as PNG.
"""

_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
_FAST_COMPRESSION = 1  # lossless at every level; level 6 costs more time than it saves on a local network
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
)


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image file and their media type."""

    data: bytes
    media_type: str


def encode_image(image: ImageInput, name: str) -> EncodedImage:
    """The file to send for `image`; `name` ("source", "candidates[3]") is what errors call it.

    Raises InvalidImageError.
    """
    match image:
        case bytes() | bytearray():
            return _file_bytes(bytes(image), name)
        case str() | os.PathLike():
            return _file_bytes(_read(image, name), name)
        case Image.Image():
            return _png(image, name)
        case np.ndarray():
            return _png(Image.fromarray(_checked_array(image, name)), name)
        case _:
            kind = f"{type(image).__module__}.{type(image).__qualname__}"
            raise InvalidImageError(
                f"{name}: expected a path, file bytes, a PIL image or a uint8 array (height, width, 3), "
                f"got {kind}"
            )


def _read(path: str | os.PathLike[str], name: str) -> bytes:
    if isinstance(path, str) and path.startswith(("http://", "https://", "data:")):
        raise InvalidImageError(
            f"{name}: neither client nor service fetches URLs; pass the file or its bytes"
        )
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidImageError(
            f"{name}: cannot read {os.fspath(path)!r}: {error.strerror or error}"
        ) from error
    except ValueError as error:  # a null byte in the path
        raise InvalidImageError(f"{name}: not a usable path: {error}") from error


def _file_bytes(data: bytes, name: str) -> EncodedImage:
    if not data:
        raise InvalidImageError(f"{name}: the image file is empty")
    return EncodedImage(data, _media_type(data))


def _media_type(data: bytes) -> str:
    """A label for the multipart part; the service judges by the bytes alone."""
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"


def _checked_array(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        hint = "; scale to 0..255, round and cast first" if np.issubdtype(array.dtype, np.floating) else ""
        raise InvalidImageError(f"{name}: expected an array of dtype uint8, got {array.dtype}{hint}")
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        hint = "; move the channels last" if array.ndim == 3 and array.shape[0] == 3 else ""
        raise InvalidImageError(
            f"{name}: expected an array of shape (height, width, 3), got {array.shape}{hint}"
        )
    return np.ascontiguousarray(array)


def _png(image: Image.Image, name: str) -> EncodedImage:
    if image.mode not in _PNG_MODES:
        raise InvalidImageError(
            f"{name}: PIL mode {image.mode} does not fit a PNG unchanged; convert('RGB') and check the result"
        )
    if 0 in image.size:
        raise InvalidImageError(f"{name}: the image is empty: {image.width}x{image.height} pixels")
    buffer = io.BytesIO()
    try:
        ImageOps.exif_transpose(image).save(buffer, format="PNG", compress_level=_FAST_COMPRESSION)
    except (OSError, SyntaxError, ValueError) as error:  # a lazily opened file that turns out broken
        raise InvalidImageError(f"{name}: the PIL image cannot be encoded: {error}") from error
    return EncodedImage(buffer.getvalue(), "image/png")
