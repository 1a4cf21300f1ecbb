"""Images on their way out: files and bytes go as they are, pixels as PNG unless told otherwise."""

import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from numpy.typing import NDArray
from PIL import Image, ImageOps

from edit_rrm.errors import ImageError
from edit_rrm.images import EditImage
from edit_rrm_client._arrays import is_array_like, pixels_of
from edit_rrm_client.errors import InvalidImageError


class ArrayLike(Protocol):
    """An array that is not numpy's: a torch tensor on any device, a JAX array."""

    @property
    def shape(self) -> Any: ...
    @property
    def dtype(self) -> Any: ...


ImageInput: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | Image.Image | NDArray[Any] | ArrayLike"
"""What the client takes as an image.

- a path (str or PathLike) or the bytes of a PNG, JPEG or WebP file: sent unchanged;
- a PIL image, upright (its EXIF rotation is applied); modes that a PNG does not hold (CMYK, 16-bit grey, …)
  become RGB as the service would make it of a file;
- a numpy array, or a torch tensor on any device (also one that requires a gradient), RGB:
  uint8 of shape (height, width, 3) in 0 to 255, or
  floating point of shape (height, width, 3) or (3, height, width) in 0 to 1 (±0.001).

Images and arrays are sent as PNG, lossless, unless the client's `encoding` says otherwise. Any other
range, dtype, shape or number of channels is an InvalidImageError.
"""
SourceInput: TypeAlias = "ImageInput | Sequence[ImageInput]"
"""An edit's source: one image, or a list or tuple of 1 to 4 that an instruction calls by their order."""
Encoding: TypeAlias = Literal["png", "webp-lossless", "jpeg95", "jpeg"]
"""How pixels become a file: "png" and "webp-lossless" keep every pixel; of photographs the latter is smaller,
and made and read in less time. "jpeg95" is much smaller and does not (quality 95, 4:4:4); "jpeg" is its older
name.
"""

_JPEG_MODES = frozenset({"L", "RGB"})
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
_MODES: Mapping[Encoding, frozenset[str]] = {
    "png": _PNG_MODES,
    "webp-lossless": _PNG_MODES,
    "jpeg95": _JPEG_MODES,
    "jpeg": _JPEG_MODES,
}
_SAVE_OPTIONS: Mapping[Encoding, dict[str, Any]] = {
    # Lossless at every level; level 6 costs more time than it saves on a local network.
    "png": {"format": "PNG", "compress_level": 1},
    # The least effort: more costs several times as long for a few percent.
    "webp-lossless": {"format": "WEBP", "lossless": True, "exact": True, "quality": 0, "method": 0},
    "jpeg95": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
)


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image file and their media type."""

    data: bytes
    media_type: str


def encode_images(images: Sequence[tuple[ImageInput, str]], encoding: Encoding) -> list[EncodedImage]:
    """`encode_image` for images and their names, as many at once as there are cores; one object once.

    Raises InvalidImageError for the first that is wrong.
    """
    places = {id(image): place for place, (image, _) in reversed(list(enumerate(images)))}
    if len(places) == 1:
        return [encode_image(*images[0], encoding)] * len(images)
    with ThreadPoolExecutor(min(len(places) or 1, os.cpu_count() or 1)) as pool:
        files = {place: pool.submit(encode_image, *images[place], encoding) for place in places.values()}
        return [files[places[id(image)]].result() for image, _ in images]


def encode_image(image: ImageInput, name: str, encoding: Encoding = "png") -> EncodedImage:
    """The file to send for `image`; `name` ("source", "candidates[3]") is what errors call it.

    Raises InvalidImageError.
    """
    match image:
        case bytes() | bytearray():
            return _file_bytes(bytes(image), name)
        case str() | os.PathLike():
            return _file_bytes(_read(image, name), name)
        case Image.Image():
            return _file(image, name, encoding)
        case _ if is_array_like(image):
            return _file(Image.fromarray(pixels_of(image, name)), name, encoding)
        case _:
            kind = f"{type(image).__module__}.{type(image).__qualname__}"
            raise InvalidImageError(
                f"{name}: expected a path, file bytes, a PIL image or an array, got {kind}"
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


def _rgb(image: Image.Image, name: str) -> Image.Image:
    """The upright RGB image that the service makes of such a mode. Raises InvalidImageError."""
    try:
        return EditImage.from_pil(image).image
    except ImageError as error:
        raise InvalidImageError(f"{name}: {error}") from error


def _file(image: Image.Image, name: str, encoding: Encoding) -> EncodedImage:
    options = _SAVE_OPTIONS[encoding]
    if image.mode not in _PNG_MODES:
        image = _rgb(image, name)
    if image.mode not in _MODES[encoding]:
        raise InvalidImageError(
            f"{name}: PIL mode {image.mode} does not fit a {options['format']} unchanged; "
            "convert('RGB') and check the result"
        )
    if 0 in image.size:
        raise InvalidImageError(f"{name}: the image is empty: {image.width}x{image.height} pixels")
    buffer = io.BytesIO()
    try:
        upright = ImageOps.exif_transpose(image)
        upright.save(buffer, icc_profile=image.info.get("icc_profile"), **options)
    except (OSError, SyntaxError, ValueError) as error:  # a lazily opened file that turns out broken
        raise InvalidImageError(f"{name}: the PIL image cannot be encoded: {error}") from error
    return EncodedImage(buffer.getvalue(), f"image/{options['format'].lower()}")
