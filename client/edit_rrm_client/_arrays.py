"""Arrays and tensors as 8-bit RGB pixels. One layout a dtype; what could mean two things is refused.

Tensors are known by their methods (`detach`, `cpu`), so that no tensor library is imported here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edit_rrm_client.errors import InvalidImageError

# What arithmetic adds to a value in 0..1: such values are clamped.
_ROUNDING = 1e-3
_LAYOUTS = "uint8 (height, width, 3) in 0..255 or float (height, width, 3) or (3, height, width) in 0..1"


def is_array_like(image: object) -> bool:
    """Whether `image` is a numpy array, a torch tensor, or another object that turns into an array."""
    return hasattr(image, "__array__") or _is_tensor(image)


def pixels_of(image: Any, name: str) -> NDArray[np.uint8]:
    """RGB pixels, [height, width, 3], 0 to 255, of an array or tensor; `name` is what errors call it.

    Floats up to 0.001 outside 0 to 1 are clamped; they are multiplied by 255 and rounded to the nearest whole
    number, halves to the even one. Raises InvalidImageError.
    """
    array = _as_numpy(image, name)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(_checked_bytes(array, name))
    if np.issubdtype(array.dtype, np.floating):
        scaled = _checked_floats(array, name).astype(np.float32) * np.float32(255)
        return np.ascontiguousarray(np.rint(scaled).astype(np.uint8))
    raise InvalidImageError(f"{name}: expected {_LAYOUTS}, got dtype {array.dtype}")


def _is_tensor(image: object) -> bool:
    return callable(getattr(image, "detach", None)) and callable(getattr(image, "cpu", None))


def _as_numpy(image: Any, name: str) -> NDArray[Any]:
    try:
        if _is_tensor(image):
            image = image.detach().cpu()
            if str(image.dtype) == "torch.bfloat16":  # numpy has no such dtype; float32 holds it exactly
                image = image.float()
            image = image.numpy() if hasattr(image, "numpy") else image
        return np.asarray(image)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        kind = f"{type(image).__module__}.{type(image).__qualname__}"
        raise InvalidImageError(f"{name}: a {kind} does not turn into an array: {error}") from error


def _checked_bytes(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim == 3 and array.shape[2] == 3 and 0 not in array.shape:
        return array
    hint = _shape_hint(array)
    if array.ndim == 3 and array.shape[0] == 3:
        hint = "; move the channels last"
    raise InvalidImageError(
        f"{name}: expected a uint8 array of shape (height, width, 3), got {array.shape}{hint}"
    )


def _checked_floats(array: NDArray[Any], name: str) -> NDArray[Any]:
    """The array with its channels last and every value in [0, 1]."""
    channels_last = array.ndim == 3 and array.shape[2] == 3
    channels_first = array.ndim == 3 and array.shape[0] == 3
    if not (channels_last or channels_first) or 0 in array.shape:
        raise InvalidImageError(
            f"{name}: expected a float array of shape (height, width, 3) or (3, height, width), "
            f"got {array.shape}{_shape_hint(array)}"
        )
    if channels_last and channels_first:
        raise InvalidImageError(
            f"{name}: expected a float array with its channels first or last, got {array.shape}, "
            "which could be either; pass uint8 (height, width, 3)"
        )
    array = array.transpose(1, 2, 0) if channels_first else array
    lowest, highest = float(array.min()), float(array.max())
    if lowest >= 0.0 and highest <= 1.0:
        return array
    if lowest >= -_ROUNDING and highest <= 1.0 + _ROUNDING:
        return np.clip(array, 0.0, 1.0)
    raise InvalidImageError(
        f"{name}: expected float values in 0..1, got {lowest:g} to {highest:g}, {_worst(array)}"
        f"{_range_hint(lowest, highest)}"
    )


def _worst(array: NDArray[Any]) -> str:
    """Value and place of what lies farthest outside 0 to 1; one that is no number before all others."""
    distance = np.abs(array.astype(np.float64) - 0.5)
    row, column, channel = np.unravel_index(
        int(np.argmax(np.where(np.isnan(distance), np.inf, distance))), array.shape
    )
    return f"{float(array[row, column, channel]):g} at row {row}, column {column}, channel {channel}"


def _shape_hint(array: NDArray[Any]) -> str:
    if array.ndim == 4:
        return "; pass the images of a batch one by one"
    if array.ndim == 2 or (array.ndim == 3 and 1 in (array.shape[0], array.shape[2])):
        return "; repeat a grey image's channel three times"
    if array.ndim == 3 and 4 in (array.shape[0], array.shape[2]):
        return "; put a transparent image on a background first"
    return ""


def _range_hint(lowest: float, highest: float) -> str:
    if -1.0 <= lowest < 0.0 and highest <= 1.0:
        return "; if -1..1 is meant, pass (x + 1) / 2"
    if lowest >= 0.0 and 2.0 < highest <= 255.0:
        return "; if 0..255 is meant, round and cast to uint8"
    return ""
