"""From an image's embedded ICC profile to sRGB, by LittleCMS. A profile that cannot be used is as none.

Profiles are untrusted: one beyond a megabyte is passed over, and what LittleCMS refuses too. (Pillow calls a
PNG with so large a one broken.)
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_MAX_BYTES = 2**20
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # of a profile, and the mode that holds it
_UNSEEN = 2  # of 255: a profile that changes no colour by more is sRGB by another name
_GRID = np.array([0, 32, 64, 128, 192, 255], dtype=np.uint8)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB of an image of mode RGB, L or CMYK, in sRGB where the profile is of that mode's kind.

    The image itself where there is nothing to do.
    """
    transform = None
    if profile and len(profile) <= _MAX_BYTES:
        transform = _transform(bytes(profile), image.mode)
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    converted = Image.new("RGB", image.size)
    transform.apply(image, converted)
    return converted


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None for a profile that is broken, of another kind than the image, or sRGB."""
    try:
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _SPACES.get(read.profile.xcolor_space) != mode:
            return None
        transform = ImageCms.ImageCmsTransform(
            read, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), mode, "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )  # fmt: skip
        return None if mode == "RGB" and _changes_nothing(transform) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    colours = np.stack(np.meshgrid(_GRID, _GRID, _GRID), axis=-1).reshape(1, -1, 3)
    probe = Image.fromarray(colours)
    seen = Image.new("RGB", probe.size)
    transform.apply(probe, seen)
    return bool(np.abs(np.asarray(seen).astype(int) - colours).max() <= _UNSEEN)
