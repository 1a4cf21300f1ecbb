"""Untrusted bytes become an `EditImage` here: upright sRGB, fully loaded, known by its content.

Nothing after this module sees bytes of an image. No limit or setting of Pillow's is changed, since
those belong to the whole process.
"""

import hashlib
import io
import math
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, UnidentifiedImageError

from edit_rrm.colour_profiles import to_srgb
from edit_rrm.errors import ImageError
from edit_rrm.image_scale import AS_IT_IS, ImageScale, Size
from edit_rrm.jpeg_scans import without_unseen_end

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
_SWAPPING = {_TO_UPRIGHT[number] for number in (5, 6, 7, 8)}  # width and height
_WHITE = (255, 255, 255)
_RESAMPLING = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class ImageLimits:
    """What `decode_image` accepts.

    The first two refuse, `scale` scales down; the last two refuse what is left: a side of fewer pixels, or
    one more times as long as the other.
    """

    max_encoded_bytes: int = 20 * 2**20
    max_pixels: int = 40_000_000
    scale: ImageScale = AS_IT_IS
    min_side: int = 1
    max_aspect: float = math.inf


_DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True, eq=False)
class EditImage:
    """An upright RGB image in memory. Those of equal `digest` (SHA-256, hex) have equal pixels.

    It is that of the file that was decoded and of its scale, or else of size and pixels.
    """

    image: Image.Image
    digest: str
    full_size: Size
    """Width and height before it was scaled down."""
    unmanaged: "EditImage | None" = None
    """Where a profile changed the pixels: as a program sees them that knows no profiles, an editor say."""
    file: bytes | None = field(default=None, repr=False)
    """The file it was decoded from, where that was to be kept and whoever decodes it sees these pixels."""

    @property
    def width(self) -> int:
        """Pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.image.height

    @property
    def held_bytes(self) -> int:
        """What it takes in memory: Pillow has four bytes for a pixel."""
        own = 4 * self.width * self.height + len(self.file or b"")
        return own + (self.unmanaged.held_bytes if self.unmanaged is not None else 0)

    @classmethod
    def from_pil(cls, image: Image.Image, scale: ImageScale = AS_IT_IS) -> "EditImage":
        """A copy of `image` as `decode_image` would give it: upright, RGB, on white, scaled down.

        Raises ImageError for an image that does not load, or whose mode has no known range (F, and I
        beyond 16 bits) or no conversion.
        """
        return cls._of(_made_upright(image, scale), None)

    def in_size_of(self, other: "EditImage") -> "EditImage":
        """The image scaled to the other's width and height, whatever becomes of its shape."""
        size = other.image.size
        if size == self.image.size:
            return self
        digest = hashlib.sha256(b"%s in %dx%d" % (self.digest.encode(), *size)).hexdigest()
        return EditImage(self.image.resize(size, _RESAMPLING), digest, other.full_size)

    @classmethod
    def _of(cls, made: "_Upright", digest: str | None, file: bytes | None = None) -> "EditImage":
        size = made.full_size
        unmanaged = None
        if made.plain is not made.managed:
            unmanaged = cls(made.plain, f"{digest}, plain" if digest else pixel_digest(made.plain), size)
        return cls(made.managed, digest or pixel_digest(made.managed), size, unmanaged, file)


def pixel_digest(rgb: Image.Image) -> str:
    """SHA-256 (hex) of an image's size and pixels."""
    return hashlib.sha256(b"%dx%d:" % rgb.size + rgb.tobytes()).hexdigest()


def file_digest(data: bytes, scale: ImageScale = AS_IT_IS) -> str:
    """SHA-256 (hex) of a file and of the scale it is shown in: the digest that `decode_image` gives it."""
    digest = hashlib.sha256(repr((scale.max_side, scale.pixel_budget, scale.patch)).encode())
    digest.update(data)
    return digest.hexdigest()


def decode_image(
    data: bytes, limits: ImageLimits = _DEFAULT_LIMITS, *, digest: str | None = None, keep_file: bool = False
) -> EditImage:
    """A PNG, JPEG or WebP file's bytes as an upright RGB image; the bytes alone tell the format.

    `digest` is its `file_digest` where that is known already. `keep_file` keeps the bytes of one that
    others may be given in place of the pixels.

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
        shown = without_unseen_end(data) if data.startswith(_JPEG_SIGNATURE) else data
        with Image.open(io.BytesIO(shown), formats=_FORMATS) as image:
            _check_header(image, data, limits)
            made = _made_upright(image, limits.scale, ours=True)
            _check_shape(made, limits)
            kept = data if keep_file and made.as_filed and image.format != "MPO" else None
            return EditImage._of(made, digest or file_digest(data, limits.scale), kept)
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


def decoded_bytes(data: bytes, limits: ImageLimits = _DEFAULT_LIMITS) -> int:
    """What an EditImage of a file will hold at most, told from its header; 0 where that cannot be read.

    Without the file itself. While it is decoded an image may take more: four bytes for each of its pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = limits.scale.fitted(image.size)
            return 4 * width * height * (2 if "icc_profile" in image.info else 1)
    except Exception:  # decode_image says what is wrong with it
        return 0


def encode_png(image: Image.Image) -> bytes:
    """The upright RGB form of `image` as a PNG without metadata, lossless and compressed for speed.

    `decode_image` makes the pixels of `EditImage.from_pil(image)` of it. Raises ImageError as that does.
    """
    buffer = io.BytesIO()
    _made_upright(image, AS_IT_IS).managed.save(buffer, "PNG", compress_level=1)
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


def _check_shape(made: "_Upright", limits: ImageLimits) -> None:
    width, height = made.managed.size
    short, long = sorted((width, height))
    if short < limits.min_side or long > limits.max_aspect * short:
        full = made.full_size
        raise ImageError(
            "image_shape",
            f"{full[0]} x {full[1]} pixels, judged at {width} x {height}: no side may have "
            f"fewer than {limits.min_side} or be more than {limits.max_aspect:g} times as long as the other",
        )


@dataclass(frozen=True)
class _Upright:
    """RGB pixels of our own, without the profile and with it: one and the same where it changes nothing."""

    plain: Image.Image
    managed: Image.Image
    full_size: Size
    as_filed: bool
    """Whether they are what the file holds: neither turned, scaled, converted nor put on white."""


def _made_upright(image: Image.Image, scale: ImageScale, *, ours: bool = False) -> _Upright:
    """See `_Upright`. `ours`: nobody else has the image. It may be used as it is, and a JPEG that will be
    scaled down is decoded smaller where that is enough.

    A profile of RGB colours is applied to the pixels that are left: it costs 20 ns for each.
    """
    full_size = image.size
    if full_size[0] == 0 or full_size[1] == 0:
        raise ImageError("broken_image", f"the image has no pixels: {full_size[0]} x {full_size[1]}")
    fitted = scale.fitted(full_size)
    if ours and fitted != full_size:
        image.draft(None, fitted)
    try:
        image.load()
        transpose = _TO_UPRIGHT.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError("broken_image", f"the image does not load: {error}") from error
    profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
    transparent = image.has_transparency_data
    rgb = _pixels_of(image) if ours and image.mode == "RGB" and not transparent else _on_white(image)
    plain = rgb if rgb.size == fitted else rgb.resize(fitted, _RESAMPLING)
    if transpose is not None:
        plain = plain.transpose(transpose)
        full_size = full_size[::-1] if transpose in _SWAPPING else full_size
    managed = to_srgb(plain, profile)
    as_filed = managed is rgb and image.size == full_size and image.mode == "RGB" and not transparent
    for made in (plain, managed):
        made.info = {}  # what a file says beside its pixels goes no further
    return _Upright(plain, managed, full_size, as_filed)


def _pixels_of(image: Image.Image) -> Image.Image:
    """The image's own pixels without what else its file holds, nothing copied. (Pillow has no other way.)"""
    return Image.Image()._new(image.im)


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
