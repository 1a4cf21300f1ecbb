"""Images as trainers hold them, turned into what the client takes. Knows nothing of rewards.

A trainer's image may be one row of a batch, a tensor of bytes with its channels first, a base64 text, or
the `{"bytes", "path"}` of a datasets column; the rest is the client's own business.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edit_rrm_client._arrays import is_array_like
from edit_rrm_client._images import ImageInput
from edit_rrm_client.errors import InvalidImageError, InvalidRequestError

# How the base64 of a PNG, JPEG or WebP file begins.
_BASE64_STARTS = ("iVBORw0KGgo", "/9j/", "UklGR")


def rows_of(images: Any, name: str) -> list[Any]:
    """The images of a batch: a list, or an array or tensor of shape (batch, ...), one row each.

    Raises InvalidRequestError; `name` is what the error calls the batch.
    """
    if is_array_like(images) and getattr(images, "ndim", 0) == 4:
        return [images[row] for row in range(len(images))]
    if isinstance(images, Sequence) and not isinstance(images, str | bytes):
        return list(images)
    raise InvalidRequestError(
        f"{name}: expected a list of images or a batch of four dimensions, got {_described(images)}"
    )


def image_input(image: Any, name: str) -> ImageInput:
    """What the client takes for a trainer's image. Raises InvalidImageError."""
    if isinstance(image, Mapping):
        return _of_column(image, name)
    if isinstance(image, str):
        return _of_text(image, name)
    if is_array_like(image) and hasattr(image, "shape"):
        return _of_array(image)
    found: ImageInput = image
    return found


def _of_column(image: Mapping[Any, Any], name: str) -> ImageInput:
    for field in ("bytes", "path"):
        if image.get(field) is not None:
            found: ImageInput = image[field]
            return found
    raise InvalidImageError(
        f"{name}: expected 'bytes' or 'path' in the mapping, got {sorted(map(str, image))}"
    )


def _of_text(text: str, name: str) -> ImageInput:
    """The file of a data URI or of base64; any other text is a path."""
    is_data_uri = text.startswith("data:image/")
    if not is_data_uri and not text.startswith(_BASE64_STARTS):
        return text
    encoded = text.partition(",")[2] if is_data_uri else text
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImageError(f"{name}: looks like base64 and is not: {error}") from error


def _of_array(image: Any) -> ImageInput:
    """The array without a batch dimension of one, and with its channels last where it holds bytes."""
    if image.ndim == 4 and image.shape[0] == 1:
        image = image[0]
    is_bytes = str(image.dtype).removeprefix("torch.") == "uint8"
    if is_bytes and image.ndim == 3 and image.shape[0] == 3 and image.shape[2] != 3:
        pixels = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))
    found: ImageInput = image
    return found


def _described(images: Any) -> str:
    shape = getattr(images, "shape", None)
    return f"{type(images).__name__} of shape {tuple(shape)}" if shape is not None else type(images).__name__
