"""Untrusted bytes become an `EditImage` here: upright sRGB, fully loaded, known by its content.

Nothing after this module sees bytes of an image. No limit or setting of Pillow's is changed, since
those belong to the whole process.
"""

import hashlib
import io
import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, UnidentifiedImageError

from edit_rrm.colour_profiles import to_srgb
from edit_rrm.errors import ImageError

_FORMATS = ("PNG", "JPEG", "WEBP")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_PNG_BIT_DEPTH_OFFSET = 24
_EXIF_ORIENTATION = 0x0112
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WHITE = (255, 255, 255)
_RESAMPLING = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class ImageLimits:
    """What `decode_image` accepts.

    The first two refuse, the next two (pixels) scale down; the last two refuse what is left: a side of fewer
    pixels, or one more times as long as the other.
    """

    max_encoded_bytes: int = 20 * 2**20
    max_pixels: int = 40_000_000
    max_side: int | None = None
    pixel_budget: int | None = None
    min_side: int = 1
    max_aspect: float = math.inf


_DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True, eq=False)
class EditImage:
    """An upright RGB image in memory. `digest` is the SHA-256 (hex) of its size and pixels."""

    image: Image.Image
    digest: str
    unmanaged: "EditImage | None" = None
    """Where a profile changed the pixels: as a program sees them that knows no profiles, an editor say."""

    @property
    def width(self) -> int:
        """Pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.image.height

    @classmethod
    def from_pil(
        cls, image: Image.Image, max_side: int | None = None, pixel_budget: int | None = None
    ) -> "EditImage":
        """A copy of `image` as `decode_image` would give it: upright, RGB, on white, scaled down to both.

        Raises ImageError for an image that does not load, or whose mode has no known range (F, and I
        beyond 16 bits) or no conversion.
        """
        plain, managed = _upright_srgb(image, max_side, pixel_budget)
        made = cls._of(managed)
        return made if managed is plain else replace(made, unmanaged=cls._of(plain))

    def in_size_of(self, other: "EditImage") -> "EditImage":
        """The image scaled to the other's width and height, whatever becomes of its shape."""
        size = other.image.size
        return self if size == self.image.size else self._of(self.image.resize(size, _RESAMPLING))

    @classmethod
    def _of(cls, rgb: Image.Image) -> "EditImage":
        pixels = rgb.tobytes()
        digest = hashlib.sha256(b"%dx%d:" % rgb.size + pixels).hexdigest()
        return cls(Image.frombytes("RGB", rgb.size, pixels), digest)


def decode_image(data: bytes, limits: ImageLimits = _DEFAULT_LIMITS) -> EditImage:
    """A PNG, JPEG or WebP file's bytes as an upright RGB image; the bytes alone tell the format.

    Raises ImageError: image_too_large and too_many_pixels before any pixel is decoded,
    unsupported_image for another format or an animation, broken_image for everything that does not
    decode to its last pixel, image_shape for what is too small or thin once it is scaled.
    """
    if len(data) > limits.max_encoded_bytes:
        raise ImageError(
            "image_too_large",
            f"the file has {len(data)} bytes; at most {limits.max_encoded_bytes} are accepted",
        )
    _check_signature(data)
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_header(image, data, limits)
            decoded = EditImage.from_pil(image, limits.max_side, limits.pixel_budget)
            _check_shape(image.size, decoded, limits)
            return decoded
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("too_many_pixels", f"the decoder refuses its size: {error}") from error
    except UnidentifiedImageError as error:
        raise ImageError("broken_image", "the image's header cannot be read") from error
    except MemoryError:  # the sizes were checked: this machine's memory ran out, the image is not to blame
        raise
    except Exception as error:  # decoders of hostile bytes raise whatever they happen to
        raise ImageError("broken_image", f"the image does not decode: {error!r}") from error


def encode_png(image: Image.Image) -> bytes:
    """The upright RGB form of `image` as a PNG without metadata, lossless and compressed for speed.

    `decode_image(encode_png(image))` equals `EditImage.from_pil(image)`. Raises ImageError as that does.
    """
    buffer = io.BytesIO()
    _, rgb = _upright_srgb(image)
    Image.frombytes("RGB", rgb.size, rgb.tobytes()).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _check_signature(data: bytes) -> None:
    if data.startswith((_PNG_SIGNATURE, _JPEG_SIGNATURE)) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return
    if len(data) < 12 and any(start.startswith(data) for start in (_PNG_SIGNATURE, _JPEG_SIGNATURE, b"RIFF")):
        raise ImageError("broken_image", f"the file ends after {len(data)} bytes")
    raise ImageError("unsupported_image", "the bytes are not those of a PNG, JPEG or WebP file")


def _check_header(image: Image.Image, data: bytes, limits: ImageLimits) -> None:
    """What can be told before pixels are decoded."""
    if image.width * image.height > limits.max_pixels:
        raise ImageError(
            "too_many_pixels",
            f"the image has {image.width} x {image.height} pixels; at most {limits.max_pixels} are accepted",
        )
    # An MPO file is a photograph whose further frames are depth or gain maps, not an animation.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise ImageError("unsupported_image", f"the {image.format} file is animated, not a still image")
    # Pillow keeps the upper byte of each 16-bit sample, against which a 16-bit colour key cannot be told.
    if image.format == "PNG" and data[_PNG_BIT_DEPTH_OFFSET] == 16 and "transparency" in image.info:
        raise ImageError("unsupported_image", "a 16-bit PNG with a transparent colour key is not supported")


def _check_shape(size: tuple[int, int], decoded: EditImage, limits: ImageLimits) -> None:
    short, long = sorted(decoded.image.size)
    if short < limits.min_side or long > limits.max_aspect * short:
        raise ImageError(
            "image_shape",
            f"{size[0]} x {size[1]} pixels, judged at {decoded.width} x {decoded.height}: no side may have "
            f"fewer than {limits.min_side} or be more than {limits.max_aspect:g} times as long as the other",
        )


def _upright_srgb(
    image: Image.Image, max_side: int | None = None, pixel_budget: int | None = None
) -> tuple[Image.Image, Image.Image]:
    """The pixels without their profile and with it; one and the same where it changes nothing.

    A profile of RGB colours is applied to the pixels that are left: it costs 20 ns for each.
    """
    profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
    plain = _within(_upright_rgb(image), max_side, pixel_budget)
    return plain, to_srgb(plain, profile)


def _upright_rgb(image: Image.Image) -> Image.Image:
    if image.width == 0 or image.height == 0:
        raise ImageError("broken_image", f"the image has no pixels: {image.width} x {image.height}")
    try:
        image.load()
        transpose = _TO_UPRIGHT.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError("broken_image", f"the image does not load: {error}") from error
    rgb = _on_white(image)
    return rgb if transpose is None else rgb.transpose(transpose)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if image.mode == "F":
        raise ImageError("unsupported_image", "floating-point images have no known range")
    try:
        if not image.has_transparency_data:
            # ink and grey have profiles of their own kind, which are of no use once they are RGB
            ink = image.mode in ("L", "CMYK")
            return to_srgb(image, image.info.get("icc_profile")) if ink else image.convert("RGB")
        rgba = image.convert("RGBA")
    except ValueError as error:
        raise ImageError("unsupported_image", f"mode {image.mode} does not convert: {error}") from error
    canvas = Image.new("RGB", image.size, _WHITE)
    canvas.paste(rgba, mask=rgba)
    return canvas


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Grey levels 0 to 65535 scaled (not clipped) to 0 to 255, rounded to the nearest."""
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65535:
        raise ImageError(
            "unsupported_image", f"grey levels from {levels.min()} to {levels.max()} do not fit in 16 bits"
        )
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")


def _within(image: Image.Image, max_side: int | None, pixel_budget: int | None) -> Image.Image:
    """The image itself where it fits, else scaled down in its shape."""
    width, height = image.size
    if max_side is not None and (longest := max(width, height)) > max_side:
        width, height = (max(1, round(side * max_side / longest)) for side in (width, height))
    if pixel_budget is not None and width * height > pixel_budget:
        factor = math.sqrt(pixel_budget / (width * height))
        width, height = (max(1, int(side * factor)) for side in (width, height))
    return image if (width, height) == image.size else image.resize((width, height), _RESAMPLING)
