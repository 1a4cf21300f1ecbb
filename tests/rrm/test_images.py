"""Untrusted bytes become upright RGB images or an ImageError, nothing else."""

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin

from edit_rrm.errors import ImageError
from edit_rrm.image_scale import ImageScale
from edit_rrm.images import EditImage, ImageLimits, decode_image, encode_png, file_digest

SMALL = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3  # 6 wide, 4 high


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Smooth, with one corner (top left) dark and the opposite bright."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    return Image.fromarray(np.stack([255 * x, 255 * y, 127 * (x + y)], axis=-1).astype(np.uint8))


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    """`png` with one more chunk after its header chunk."""
    return png[:33] + png_chunk(name, body) + png[33:]


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def pixels(image: EditImage) -> np.ndarray:
    return np.asarray(image.image)


def same_pixels(one: EditImage, other: EditImage) -> bool:
    return np.array_equal(pixels(one), pixels(other))


def refused(data: bytes, limits: ImageLimits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        decode_image(data, limits or ImageLimits())
    assert str(caught.value)
    return caught.value.code


def test_png_and_lossless_webp_keep_every_pixel() -> None:
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        image = decode_image(saved(Image.fromarray(SMALL), kind, **options))
        assert (image.width, image.height, image.image.mode) == (6, 4, "RGB")
        assert np.array_equal(pixels(image), SMALL)


def test_jpeg_is_decoded() -> None:
    difference = pixels(decode_image(saved(picture(), "JPEG", quality=95))).astype(int) - np.asarray(
        picture()
    )
    assert np.abs(difference).max() < 12


def test_the_digest_of_a_file_is_that_of_its_bytes_and_its_scale() -> None:
    data = saved(picture((64, 48)), "PNG")
    found = decode_image(data)
    assert found.digest == file_digest(data) == decode_image(bytes(data)).digest
    small = ImageScale(max_side=32)
    assert decode_image(data, ImageLimits(scale=small)).digest == file_digest(data, small) != found.digest
    others = [ImageScale(pixel_budget=32), ImageScale(32, patch=8), ImageScale()]
    assert len({file_digest(data, scale) for scale in (small, *others)}) == 4
    assert decode_image(data + b"x").digest != found.digest


def test_the_digest_of_pixels_is_of_size_and_pixels_alone() -> None:
    image = Image.fromarray(SMALL)
    expected = hashlib.sha256(b"6x4:" + SMALL.tobytes()).hexdigest()
    assert EditImage.from_pil(image).digest == expected
    assert EditImage.from_pil(image.resize((4, 6))).digest != expected
    wide, high = Image.new("RGB", (6, 4)), Image.new("RGB", (4, 6))
    assert EditImage.from_pil(wide).digest != EditImage.from_pil(high).digest


def test_the_format_is_judged_from_the_bytes() -> None:
    for kind in ("GIF", "BMP", "TIFF", "ICO"):
        assert refused(saved(picture(), kind)) == "unsupported_image"
    for data in (
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.4",
        b"RIFF0000WAVEfmt ",
        b"\x00" * 100,
    ):
        assert refused(data) == "unsupported_image"


@pytest.mark.parametrize("length", [0, 1, 3, 7])
def test_bytes_that_end_within_the_signature_are_broken(length: int) -> None:
    assert refused(saved(picture(), "PNG")[:length]) == "broken_image"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_truncated_files_are_broken(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = saved(noise, kind)
    for share in (0.1, 0.5, 0.9):
        assert refused(data[: int(len(data) * share)]) == "broken_image"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_garbage_after_the_image_does_no_harm(kind: str) -> None:
    data = saved(picture(), kind)
    assert same_pixels(decode_image(data + b"\x00garbage<script>" * 100), decode_image(data))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind: str) -> None:
    frames = [picture(), picture().transpose(Image.Transpose.ROTATE_180)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="animated") as caught:
        decode_image(data)
    assert caught.value.code == "unsupported_image"


def test_of_a_multi_picture_jpeg_the_photograph_is_taken() -> None:
    data = saved(picture(), "MPO", save_all=True, append_images=[picture((32, 24))])
    assert (decode_image(data).width, decode_image(data).height) == (64, 48)


def test_cmyk_becomes_rgb() -> None:
    data = saved(picture().convert("CMYK"), "JPEG", quality=95)
    image = decode_image(data)
    assert image.image.mode == "RGB"
    assert np.abs(pixels(image).astype(int) - np.asarray(picture())).max() < 15


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    levels = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    image = decode_image(saved(Image.fromarray(levels), "PNG"))
    assert pixels(image)[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


def test_16_bit_colour_is_scaled() -> None:
    rows = b"\x00" + struct.pack(">6H", 0, 0x8000, 0xFFFF, 0x1234, 0xABCD, 0xFF00)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    assert pixels(decode_image(b"\x89PNG\r\n\x1a\n" + header + body)).tolist() == [
        [[0x00, 0x80, 0xFF], [0x12, 0xAB, 0xFF]]
    ]
    keyed = png_chunk(b"tRNS", struct.pack(">3H", 0, 0x8000, 0xFFFF)) + body
    assert refused(b"\x89PNG\r\n\x1a\n" + header + keyed) == "unsupported_image"


def test_palette_and_bilevel_images_become_rgb() -> None:
    palette = Image.fromarray(SMALL).quantize(24)
    assert np.array_equal(pixels(decode_image(saved(palette, "PNG"))), np.asarray(palette.convert("RGB")))
    bilevel = Image.new("1", (2, 1))
    bilevel.putpixel((1, 0), 1)
    assert pixels(decode_image(saved(bilevel, "PNG"))).tolist() == [[[0] * 3, [255] * 3]]


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    data = saved(image, "PNG", transparency=0)
    assert pixels(decode_image(data)).tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_a_transparent_colour_key_is_white() -> None:
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    image.putpixel((1, 0), (200, 100, 50))
    assert pixels(decode_image(saved(image, "PNG", transparency=(10, 20, 30)))).tolist() == [
        [[255, 255, 255], [200, 100, 50]]
    ]


@pytest.mark.parametrize(("alpha", "grey"), [(0, 255), (255, 0), (127, 128)])
def test_alpha_is_composited_on_white(alpha: int, grey: int) -> None:
    black = Image.new("RGBA", (3, 3), (0, 0, 0, alpha))
    for data in (
        saved(black, "PNG"),
        saved(black, "WEBP", lossless=True, exact=True),
        saved(black.convert("LA"), "PNG"),
    ):
        assert pixels(decode_image(data))[1, 1].tolist() == [grey] * 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(kind: str, orientation: int) -> None:
    turned = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, 1),  # stored so that a clockwise quarter turn shows it upright
        7: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1),
        8: lambda a: np.rot90(a, 3),
    }[orientation](np.asarray(picture()))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode_image(saved(Image.fromarray(np.ascontiguousarray(turned)), kind, exif=exif, quality=95))
    assert (image.width, image.height) == (64, 48)
    assert np.abs(pixels(image).astype(int) - np.asarray(picture())).mean() < 4


def test_too_many_bytes_are_refused_before_anything_is_read() -> None:
    assert refused(b"x" * 101, ImageLimits(max_encoded_bytes=100)) == "image_too_large"
    data = saved(Image.fromarray(SMALL), "PNG")
    assert decode_image(data, ImageLimits(max_encoded_bytes=len(data))).width == 6
    assert refused(data, ImageLimits(max_encoded_bytes=len(data) - 1)) == "image_too_large"


def test_too_many_pixels_are_refused_before_any_is_decoded() -> None:
    header_only = png_header(200, 100) + png_chunk(b"IDAT", b"not pixels")
    assert refused(header_only, ImageLimits(max_pixels=19_999)) == "too_many_pixels"
    assert refused(header_only, ImageLimits(max_pixels=20_000)) == "broken_image"


@pytest.mark.parametrize("side", [7_000, 10_000, 30_000, 2**31 - 1])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_refused(side: int) -> None:
    bomb = (
        png_header(side, side) + png_chunk(b"IDAT", zlib.compress(b"\x00" * 1000)) + png_chunk(b"IEND", b"")
    )
    assert refused(bomb) == "too_many_pixels"


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_a_host_that_turns_warnings_into_errors_gets_the_same_answer() -> None:
    assert refused(png_header(10_000, 10_000) + png_chunk(b"IDAT", b"")) == "too_many_pixels"


def test_pillows_own_settings_stay_untouched() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    decode_image(saved(picture(), "PNG"), ImageLimits(max_pixels=4000))
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (b"iCCP", b"profile\x00\x00" + zlib.compress(b"\x00" * 50_000_000)),
        (b"zTXt", b"key\x00\x00" + zlib.compress(b"\x00" * 80_000_000)),
        (b"iTXt", b"key\x00\x01\x00\x00\x00" + b"not zlib"),
        (b"tEXt", b""),
        (b"gAMA", b"\x00"),
        (b"pHYs", b""),
        (b"sRGB", b""),
        (b"eXIf", b"MM\x00\x2a\xff\xff\xff\xff"),
        (b"acTL", b"\xff"),
        (b"fcTL", b""),
        (b"tRNS", b""),
        (b"cHRM", b"\x00" * 3),
        (b"PLTE", b"\x00" * 7),
        (b"IHDR", b""),
    ],
)
def test_hostile_png_chunks_decode_or_are_broken(name: bytes, body: bytes) -> None:
    try:
        image = decode_image(with_chunk(saved(picture(), "PNG"), name, body))
    except ImageError:
        return
    assert np.array_equal(pixels(image), np.asarray(picture()))


def test_the_longest_side_is_scaled_down_with_its_aspect() -> None:
    data = saved(picture((200, 100)), "PNG")
    sizes = {
        side: decode_image(data, ImageLimits(scale=ImageScale(side))).image.size
        for side in (50, 199, 200, 400)
    }
    assert sizes == {50: (50, 25), 199: (199, 100), 200: (200, 100), 400: (200, 100)}
    assert EditImage.from_pil(Image.new("RGB", (1, 900)), ImageScale(30)).image.size == (1, 30)


def test_from_pil_copies_and_forgets_metadata() -> None:
    original = Image.fromarray(SMALL)
    original.info["comment"] = "secret"
    image = EditImage.from_pil(original)
    original.paste((0, 0, 0), (0, 0, 6, 4))
    assert np.array_equal(pixels(image), SMALL)
    assert image.image.info == {}


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"]
)
def test_from_pil_takes_every_common_mode(mode: str) -> None:
    assert EditImage.from_pil(Image.new(mode, (3, 2))).image.mode == "RGB"


def test_from_pil_refuses_what_has_no_known_range_or_conversion() -> None:
    for image in (
        Image.new("F", (2, 2), 0.5),
        Image.new("I", (2, 2), 70_000),
        Image.new("I", (2, 2), -1),
        Image.new("La", (2, 2)),
    ):
        with pytest.raises(ImageError) as caught:
            EditImage.from_pil(image)
        assert caught.value.code == "unsupported_image"
    with pytest.raises(ImageError, match="no pixels"):
        EditImage.from_pil(Image.new("RGB", (0, 5)))


def test_an_image_that_fails_to_load_later_is_broken() -> None:
    lazy = Image.open(io.BytesIO(saved(picture(), "PNG")[:200]))
    with pytest.raises(ImageError) as caught:
        EditImage.from_pil(lazy)
    assert caught.value.code == "broken_image"


def test_images_compare_by_identity() -> None:
    first, second = EditImage.from_pil(Image.fromarray(SMALL)), EditImage.from_pil(Image.fromarray(SMALL))
    assert first.digest == second.digest
    assert first != second


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from(["L", "RGB", "RGBA", "LA", "P", "CMYK", "1"]),
    st.data(),
)
def test_encoded_images_are_read_back_as_from_pil_sees_them(
    width: int, height: int, mode: str, data: st.DataObject
) -> None:
    bands = len(Image.new(mode, (1, 1)).getbands())
    size = (width + 7) // 8 * height if mode == "1" else width * height * bands
    image = Image.frombytes(mode, (width, height), data.draw(st.binary(min_size=size, max_size=size)))
    assert same_pixels(decode_image(encode_png(image)), EditImage.from_pil(image))


def test_encoding_turns_upright_and_writes_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.open(io.BytesIO(saved(Image.fromarray(SMALL), "PNG", exif=exif)))
    encoded = encode_png(turned)
    assert Image.open(io.BytesIO(encoded)).size == (4, 6)
    assert same_pixels(decode_image(encoded), EditImage.from_pil(turned))
    assert b"eXIf" not in encoded


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x24\x00\x00\x00WEBP"]),
)
def test_random_bytes_raise_nothing_but_image_error(data: bytes, signature: bytes) -> None:
    with pytest.raises(ImageError):
        decode_image(signature + data)


exif_of_valid = Image.Exif()
exif_of_valid[0x0112] = 5
VALID = [
    saved(picture((24, 16)), "PNG", exif=exif_of_valid),
    saved(picture((24, 16)).quantize(8), "PNG", transparency=0),
    saved(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8)), "PNG"),
    saved(picture((24, 16)), "JPEG", exif=exif_of_valid, progressive=True),
    saved(picture((24, 16)).convert("CMYK"), "JPEG"),
    saved(picture((24, 16)), "WEBP", exif=exif_of_valid),
    saved(picture((24, 16)).convert("RGBA"), "WEBP", lossless=True),
    saved(picture((24, 16)), "PNG", save_all=True, append_images=[Image.new("RGB", (24, 16))]),
    saved(picture((24, 16)), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
]


@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8),
)
@pytest.mark.filterwarnings("ignore")
def test_mutated_files_raise_nothing_but_image_error(data: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(data)
    for at, value in changes:
        mutated[at % len(mutated)] = value
    try:
        image = decode_image(bytes(mutated), ImageLimits(max_pixels=1_000_000))
    except ImageError:
        return
    assert image.image.mode == "RGB"
    assert image.width * image.height <= 1_000_000


@given(st.sampled_from(VALID), st.integers(0, 2000), st.integers(0, 2000), st.binary(max_size=20))
@pytest.mark.filterwarnings("ignore")
def test_spliced_files_raise_nothing_but_image_error(
    data: bytes, start: int, length: int, patch: bytes
) -> None:
    start %= len(data)
    try:
        image = decode_image(data[:start] + patch + data[start + length :], ImageLimits(max_pixels=1_000_000))
    except ImageError:
        return
    assert image.image.mode == "RGB"


def grainy(size: tuple[int, int]) -> Image.Image:
    """Like a photograph: smooth, with edges and a little noise."""
    noise = np.random.default_rng(3).normal(0, 6, (size[1], size[0], 3))
    drawn = picture(size)
    drawn.paste((20, 60, 200), (size[0] // 3, size[1] // 4, size[0] // 2, size[1] // 2))
    return Image.fromarray(np.clip(np.asarray(drawn) + noise, 0, 255).astype(np.uint8))


class TestReducedDecoding:
    @pytest.mark.parametrize("size", [(1024, 768), (900, 1200)])
    def test_a_large_jpeg_is_what_decoding_it_whole_would_have_given(self, size: tuple[int, int]) -> None:
        data = saved(grainy(size), "JPEG", quality=95)
        small = decode_image(data, ImageLimits(scale=ImageScale(400)))
        whole = EditImage.from_pil(Image.open(io.BytesIO(data)), ImageScale(400))
        assert small.image.size == whole.image.size
        assert small.full_size == whole.full_size == size
        difference = np.abs(pixels(small).astype(int) - pixels(whole).astype(int))
        assert (difference.mean() < 1.0, np.percentile(difference, 99) <= 6) == (True, True)

    def test_it_is_not_decoded_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        drafted = []

        def watched(image: Image.Image, mode: str | None, size: tuple[int, int] | None) -> object:
            found = draft_of_jpeg(image, mode, size)
            drafted.append(image.size)
            return found

        draft_of_jpeg = JpegImagePlugin.JpegImageFile.draft
        monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", watched)
        data = saved(grainy((1024, 768)), "JPEG", quality=95)
        decode_image(data, ImageLimits(scale=ImageScale(256)))
        decode_image(data, ImageLimits(scale=ImageScale(1024)))
        assert drafted == [(256, 192)]

    def test_a_turned_one_knows_its_own_full_size(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        data = saved(grainy((800, 400)), "JPEG", quality=95, exif=exif)
        image = decode_image(data, ImageLimits(scale=ImageScale(200)))
        assert (image.image.size, image.full_size) == ((100, 200), (400, 800))


class TestKeptFiles:
    """A file goes on in place of its pixels only where whoever decodes it sees the same."""

    @pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 95}), ("WEBP", {})])
    def test_a_plain_one_is_kept(self, kind: str, options: dict[str, object]) -> None:
        data = saved(picture(), kind, **options)
        kept = decode_image(data, keep_file=True)
        assert kept.file == data
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), pixels(kept))
        assert kept.held_bytes == 4 * 64 * 48 + len(data)
        assert decode_image(data).file is None

    def test_others_are_not(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        clear = picture().convert("RGBA")
        clear.putalpha(100)
        for data in (
            saved(picture(), "JPEG", exif=exif),
            saved(clear, "PNG"),
            saved(picture().convert("L"), "PNG"),
            saved(picture().quantize(8), "PNG"),
            saved(picture().convert("CMYK"), "JPEG"),
            saved(picture(), "PNG", transparency=(0, 0, 0)),
            saved(picture(), "MPO", save_all=True, append_images=[picture((32, 24))]),
        ):
            assert decode_image(data, keep_file=True).file is None
        small = ImageLimits(scale=ImageScale(32))
        assert decode_image(saved(picture(), "PNG"), small, keep_file=True).file is None

    def test_nothing_of_the_file_stays_with_the_pixels(self) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_text("comment", "x" * 1000)
        image = decode_image(saved(picture(), "PNG", pnginfo=info)).image
        assert (type(image), image.info, image.format) == (Image.Image, {}, None)
