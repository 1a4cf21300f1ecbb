"""Embedded colour profiles become sRGB; what cannot be used is as if it were not there."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from edit_rrm.guards import check_guards
from edit_rrm.image_scale import ImageScale
from edit_rrm.images import EditImage, ImageLimits, decode_image, encode_png

P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
Colorants = tuple[tuple[float, float, float], ...]


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def profile(colorants: Colorants = P3, name: str = "Display P3", kind: bytes = b"RGB ") -> bytes:
    """An ICC profile of version 4: colorants adapted to D50 and the curve of sRGB."""
    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0)
    curve += b"".join(map(fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
    text = name.encode("utf-16-be")
    words = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
    tags = {b"desc": words, b"cprt": words, b"wtpt": xyz(0.9642, 1.0, 0.8249)}
    if kind == b"GRAY":
        tags[b"kTRC"] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(1.0 * 256))  # linear
    else:
        tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), (xyz(*c) for c in colorants), strict=True))
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        table += struct.pack(">4sII", tag, start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x04300000, b"mntr", kind, b"XYZ ")
    header += b"\0" * 12 + b"acsp" + b"\0" * 28 + xyz(0.9642, 1.0, 0.8249)[8:] + b"\0" * 48
    return header + struct.pack(">I", len(tags)) + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))


def scene() -> Image.Image:
    x, y = np.meshgrid(np.linspace(30, 220, 64), np.linspace(30, 220, 48))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))


def in_p3(image: Image.Image) -> Image.Image:
    """The same colours in the numbers of Display P3."""
    to = ImageCms.ImageCmsProfile(io.BytesIO(profile()))
    return ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), to, outputMode="RGB")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(image: EditImage | Image.Image) -> np.ndarray:
    return np.asarray(image.image if isinstance(image, EditImage) else image).astype(int)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_display_p3_source_shows_its_own_colours(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(in_p3(scene()), kind, icc_profile=profile(), **options)
    assert np.abs(pixels(decode_image(data)) - pixels(scene())).max() <= 3
    assert np.abs(pixels(in_p3(scene())) - pixels(scene())).max() > 20  # without its profile it is paler


def test_a_faithful_copy_of_a_p3_photograph_is_no_edit() -> None:
    phone = decode_image(saved(in_p3(scene()), "JPEG", quality=95, subsampling=0, icc_profile=profile()))
    editors = decode_image(saved(scene(), "PNG"))
    (no_edit, *_) = check_guards(phone, editors, instruction="add a hat")
    assert no_edit.decides


def test_a_copy_by_an_editor_that_knows_no_profiles_is_no_edit_either() -> None:
    phone = decode_image(saved(in_p3(scene()), "PNG", icc_profile=profile()))
    assert phone.unmanaged is not None
    assert phone.unmanaged.unmanaged is None
    numbers_alone = EditImage.from_pil(in_p3(scene()))
    (no_edit, *_) = check_guards(phone, numbers_alone, instruction="add a hat")
    assert no_edit.decides
    assert decode_image(saved(scene(), "PNG")).unmanaged is None


def test_a_profile_goes_with_transparency_and_with_scaling() -> None:
    image = in_p3(scene())
    image.putalpha(Image.new("L", image.size, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 48))
    seen = pixels(decode_image(saved(image, "PNG", icc_profile=profile()), ImageLimits(scale=ImageScale(32))))
    assert (seen[:, :7] >= 253).all()
    small = scene().resize((32, 24), Image.Resampling.LANCZOS)
    assert np.abs(seen[:, 10:] - pixels(small)[:, 10:]).max() <= 6


def test_a_pil_image_is_what_its_file_is() -> None:
    data = saved(in_p3(scene()), "PNG", icc_profile=profile())
    with Image.open(io.BytesIO(data)) as opened:
        assert np.array_equal(pixels(EditImage.from_pil(opened)), pixels(decode_image(data)))
        assert np.array_equal(pixels(decode_image(encode_png(opened))), pixels(decode_image(data)))


def test_srgb_by_any_name_changes_no_pixel() -> None:
    for icc in (
        profile(SRGB, "another name"),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ):
        assert np.array_equal(pixels(decode_image(saved(scene(), "PNG", icc_profile=icc))), pixels(scene()))


def test_a_grey_profile_is_applied_to_grey() -> None:
    grey = Image.linear_gradient("L")
    linear = decode_image(saved(grey, "PNG", icc_profile=profile(name="linear", kind=b"GRAY")))
    middle = pixels(linear)[128, 0]
    assert abs(middle[0] - 188) <= 3  # half of the light
    assert len(set(middle)) == 1


@pytest.mark.parametrize(
    "icc",
    [
        b"",
        b"no profile",
        profile()[:200],
        profile().replace(b"acsp", b"none"),
        b"\0" * 400,
        profile(kind=b"GRAY"),
    ],
)
def test_a_profile_that_cannot_be_used_is_as_none(icc: bytes) -> None:
    data = saved(scene(), "PNG", icc_profile=icc)
    assert np.array_equal(pixels(decode_image(data)), pixels(scene()))


def test_ink_without_a_usable_profile_is_converted_as_ever() -> None:
    ink = scene().convert("CMYK")
    plain = decode_image(saved(ink, "JPEG", quality=95))
    described = decode_image(saved(ink, "JPEG", quality=95, icc_profile=profile()))
    assert np.array_equal(pixels(described), pixels(plain))


def test_a_phone_s_photograph_and_its_edit_are_seen_as_one_picture() -> None:
    """12 megapixels, stored lying with orientation 6, in Display P3; the edit upright, 768 x 1024, sRGB."""
    upright = scene().resize((3024, 4032), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    lying = in_p3(upright).transpose(Image.Transpose.ROTATE_90)
    data = saved(lying, "JPEG", quality=90, icc_profile=profile(), exif=turned)
    phone = decode_image(data, ImageLimits(scale=ImageScale(1280)))
    assert (phone.width, phone.height) == (960, 1280)
    copy = EditImage.from_pil(upright.resize((768, 1024), Image.Resampling.LANCZOS))
    edited = copy.image.copy()
    edited.paste((250, 250, 0), (300, 400, 420, 520))
    told = {r.name: r for r in check_guards(phone, EditImage.from_pil(edited), instruction="add a note")}
    assert not any(result.triggered for result in told.values()), told
    assert check_guards(phone, copy, instruction="add a note")[0].decides
    assert copy.in_size_of(phone).image.size == phone.image.size
