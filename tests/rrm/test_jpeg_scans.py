"""JPEGs of many scans, and cut ones, are refused; what encoders make decodes as Pillow decodes it."""

import io
import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edit_rrm.errors import ImageError
from edit_rrm.images import decode_image
from edit_rrm.jpeg_scans import MAX_SCANS

END = b"\xff\xd9"
SCAN = b"\xff\xda"


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    channels = len(mode)
    levels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(levels[..., 0] if channels == 1 else levels, mode)


def jpeg(image: Image.Image, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **settings)
    return buffer.getvalue()


def cut(data: bytes, share: float) -> bytes:
    """So much of what follows the first scan's header, and an end mark."""
    start = data.index(SCAN) + 14
    return data[: start + int(share * (len(data) - start))] + END


def repeated(data: bytes, times: int) -> bytes:
    """A progressive file whose last scan comes so often."""
    start = data.rindex(SCAN)
    return data[:start] + data[start:-2] * times + END


def commented(data: bytes, comment: bytes) -> bytes:
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


PLAIN = jpeg(noise(96, 80), quality=90)
PROGRESSIVE = jpeg(noise(96, 80), quality=90, progressive=True)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_what_an_encoder_makes_decodes_to_the_same_pixels(mode: str) -> None:
    sizes = ((1, 1), (8, 8), (17, 33), (100, 75))
    subsamplings: tuple[int, ...] = (0, 1, 2) if mode == "RGB" else (-1,)
    choices = itertools.product(sizes, (5, 50, 95), subsamplings, (False, True), (False, True), (0, 1, 4))
    for size, quality, subsampling, progressive, optimize, restarts in choices:
        data = jpeg(
            noise(*size, mode),
            quality=quality,
            subsampling=subsampling,
            progressive=progressive,
            optimize=optimize,
            restart_marker_blocks=restarts,
        )
        with Image.open(io.BytesIO(data)) as expected:
            assert decode_image(data).image.tobytes() == expected.convert("RGB").tobytes()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_half_a_file_with_an_end_mark_is_truncated(share: float) -> None:
    with pytest.raises(ImageError, match="truncated") as refused:
        decode_image(cut(PLAIN, share))
    assert refused.value.code == "broken_image"


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_a_progressive_file_whose_last_scans_are_missing_is_truncated(share: float) -> None:
    with pytest.raises(ImageError, match=r"truncated: scans are missing after [1-9]") as refused:
        decode_image(cut(PROGRESSIVE, share))
    assert refused.value.code == "broken_image"


def test_the_only_scan_of_a_file_is_looked_for_before_what_follows_the_end() -> None:
    whole = decode_image(PLAIN).image.tobytes()
    for data in (
        PLAIN + b"more" + END,
        PLAIN + PLAIN,
        PLAIN[:-2] + b"\xff\xff" + END,
        PLAIN[:-2] + b"\0" + END,
    ):
        assert decode_image(data).image.tobytes() == whole
    with pytest.raises(ImageError, match="truncated"):
        decode_image(cut(PLAIN, 0.5) + PLAIN)


def test_scans_of_pictures_within_the_picture_s_metadata_are_not_counted() -> None:
    data = commented(PLAIN, (SCAN + END) * 2 * MAX_SCANS)
    assert decode_image(data).image.tobytes() == decode_image(PLAIN).image.tobytes()


def test_a_photograph_with_further_frames_is_decoded() -> None:
    buffer = io.BytesIO()
    noise(64, 48).save(buffer, "MPO", save_all=True, append_images=[noise(32, 24)])
    assert decode_image(buffer.getvalue()).image.size == (64, 48)


def test_a_file_of_many_scans_is_refused() -> None:
    scans = PROGRESSIVE.count(SCAN)
    assert decode_image(repeated(PROGRESSIVE, MAX_SCANS - scans + 1)).width == 96
    with pytest.raises(ImageError, match=f"more than {MAX_SCANS} scans") as refused:
        decode_image(repeated(PROGRESSIVE, MAX_SCANS - scans + 2))
    assert refused.value.code == "broken_image"


def test_a_file_of_thousands_of_segments_is_refused() -> None:
    with pytest.raises(ImageError, match="more than 4096 segments"):
        decode_image(PLAIN[:2] + b"\xff\xfe\0\2" * 5000 + PLAIN[2:])


def test_segments_that_hold_less_than_they_should_are_broken() -> None:
    frame, scan = PLAIN.index(b"\xff\xc0"), PLAIN.index(SCAN)
    for place in (frame, scan):
        for length in (2, 3, 5, 6, 8):
            for data in (PLAIN, PLAIN[: place + 2 + length]):
                wrong = data[: place + 2] + length.to_bytes(2, "big") + data[place + 4 :]
                with pytest.raises(ImageError):
                    decode_image(wrong)


@pytest.mark.parametrize("place", range(2, 40))
def test_what_ends_in_its_header_is_refused_as_ever(place: int) -> None:
    for data in (PLAIN[:place], PLAIN[:place] + END):
        with pytest.raises(ImageError):
            decode_image(data)
