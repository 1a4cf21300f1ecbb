"""What the client takes as an image, and what it refuses to guess about."""

import io
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from edit_rrm.images import EditImage, decode_image
from edit_rrm_client._images import Encoding, encode_image, encode_images
from edit_rrm_client.errors import InvalidImageError

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def jpeg_file(path: Path) -> bytes:
    Image.fromarray(PIXELS).save(path, format="JPEG")
    return path.read_bytes()


def test_a_file_is_sent_byte_for_byte(tmp_path: Path) -> None:
    data = jpeg_file(tmp_path / "a.jpg")
    for image in (tmp_path / "a.jpg", str(tmp_path / "a.jpg"), data, bytearray(data)):
        encoded = encode_image(image, "source")
        assert encoded.data == data
        assert encoded.media_type == "image/jpeg"


def test_arrays_and_pil_images_arrive_with_the_same_pixels() -> None:
    for image in (PIXELS, PIXELS[:, ::-1][:, ::-1], Image.fromarray(PIXELS)):
        encoded = encode_image(image, "source")
        assert encoded.media_type == "image/png"
        np.testing.assert_array_equal(decoded(encoded.data), PIXELS)


def test_a_rotated_photograph_scores_the_same_as_a_file_and_as_a_pil_image(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, to be shown a quarter turn to the right
    image.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        upright = decoded(encode_image(turned, "source").data)
    np.testing.assert_array_equal(upright, np.rot90(PIXELS, k=-1))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (b"", "the image file is empty"),
        ("https://example.org/a.png", "fetches URLs"),
        ("no/such/file.png", "No such file"),
        ("a\0b.png", "not a usable path"),
        (Image.new("F", (4, 4)), "floating-point images have no known range"),
        ([[0, 0, 0]], "got builtins.list"),
        (None, "got builtins.NoneType"),
    ],
)
def test_what_is_not_clearly_an_image_is_refused_by_name(image: object, words: str) -> None:
    with pytest.raises(InvalidImageError, match=words) as refusal:
        encode_image(image, "candidates[3]")  # type: ignore[arg-type]
    assert "candidates[3]" in refusal.value.detail


def test_a_pil_image_whose_file_is_cut_off_is_a_typed_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = io.BytesIO()
    Image.fromarray(noise).save(whole, format="PNG")
    cut = Image.open(io.BytesIO(whole.getvalue()[:2000]))
    with pytest.raises(InvalidImageError, match="source: the PIL image cannot be encoded"):
        encode_image(cut, "source")


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("CMYK", (4, 4), (255, 0, 0, 0)), (0, 255, 255)),
        (Image.new("I;16", (4, 4), 32896), (128, 128, 128)),
        (Image.new("HSV", (4, 4), (0, 255, 255)), (255, 0, 0)),
    ],
    ids=["CMYK", "I;16", "HSV"],
)
def test_modes_that_a_png_does_not_hold_become_what_the_service_makes_of_a_file(
    image: Image.Image, colour: tuple[int, int, int]
) -> None:
    sent = Image.open(io.BytesIO(encode_image(image, "image").data))
    assert (sent.mode, sent.getpixel((1, 1))) == ("RGB", colour)


@pytest.mark.parametrize("encoding", ["png", "webp-lossless"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_a_lossless_encoding_keeps_what_the_service_makes_of_the_pixels(
    encoding: Encoding, mode: str
) -> None:
    dice = np.random.default_rng(1)
    colours = Image.fromarray(dice.integers(0, 256, (24, 31, 4), dtype=np.uint8), "RGBA")
    image = colours if mode == "RGBA" else colours.convert("RGB").convert(mode)
    sent = decode_image(encode_image(image, "source", encoding).data)
    np.testing.assert_array_equal(sent.image, EditImage.from_pil(image).image)


def test_encodings_and_what_they_are_called() -> None:
    smooth = Image.linear_gradient("L").convert("RGB")
    files = {name: encode_image(smooth, "source", name) for name in get_args(Encoding)}
    kinds = {name: file.media_type for name, file in files.items()}
    assert kinds == {
        "png": "image/png", "webp-lossless": "image/webp", "jpeg95": "image/jpeg", "jpeg": "image/jpeg",
    }  # fmt: skip
    assert files["jpeg"].data == files["jpeg95"].data
    with pytest.raises(InvalidImageError, match="does not fit a JPEG"):
        encode_image(smooth.convert("RGBA"), "source", "jpeg95")


def test_many_images_come_in_their_order_and_an_object_is_encoded_once() -> None:
    pictures = [Image.fromarray(PIXELS + np.uint8(step)) for step in range(9)]
    images = [(picture, f"candidates[{n}]") for n, picture in enumerate([*pictures, pictures[0]])]
    files = encode_images(images, "png")
    for (picture, _), file in zip(images, files, strict=True):
        np.testing.assert_array_equal(decoded(file.data), np.asarray(picture))
    assert files[0] is files[-1]
    assert encode_images([], "png") == []


def test_the_first_of_many_that_is_wrong_is_named() -> None:
    good = Image.fromarray(PIXELS)
    images = [(good, "source"), (b"", "candidates[0]"), (good, "candidates[1]"), (b"", "candidates[2]")]
    with pytest.raises(InvalidImageError, match=r"candidates\[0\]"):
        encode_images(images, "png")
