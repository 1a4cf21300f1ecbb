"""Files that are no honest image, from a seed: cut, changed, spliced, put together wrongly, of another kind.

None is empty, larger than a few hundred kilobytes, or claims more than it is cheap to refuse: what is looked
for is a wrong answer, not a slow one.
"""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class HostileFile:
    """How it was made, and its bytes."""

    kind: str
    content: bytes


def hostile_files(count: int, seed: int) -> Iterator[HostileFile]:
    """`count` files, every kind in turn."""
    draw = random.Random(seed)
    honest = _honest_files(seed)
    for number in range(count):
        kind, make = _KINDS[number % len(_KINDS)]
        yield HostileFile(kind, make(draw, honest))


def _honest_files(seed: int) -> list[bytes]:
    """Small files of every form that decodes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
    smooth = Image.fromarray(pixels).resize((96, 72), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        _saved(smooth, "PNG"),
        _saved(smooth.quantize(16), "PNG", transparency=0),
        _saved(smooth.convert("RGBA"), "PNG", exif=exif),
        _saved(Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), "PNG"),
        _saved(smooth, "JPEG", exif=exif),
        _saved(smooth, "JPEG", progressive=True, quality=40),
        _saved(smooth.convert("CMYK"), "JPEG"),
        _saved(smooth.convert("L"), "JPEG"),
        _saved(smooth, "WEBP"),
        _saved(smooth.convert("RGBA"), "WEBP", lossless=True, exif=exif),
    ]


def _saved(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def _cut(draw: random.Random, honest: list[bytes]) -> bytes:
    file = draw.choice(honest)
    return file[: draw.randrange(1, len(file))]


def _cut_and_ended(draw: random.Random, honest: list[bytes]) -> bytes:
    """Half the data, then the mark that says it is all."""
    file = draw.choice(honest)
    end = b"\xff\xd9" if file[:2] == b"\xff\xd8" else _chunk(b"IEND", b"")
    return file[: draw.randrange(len(file) // 4, len(file))] + end


def _changed(draw: random.Random, honest: list[bytes]) -> bytes:
    file = bytearray(draw.choice(honest))
    for _ in range(draw.randrange(1, 12)):
        file[draw.randrange(len(file))] = draw.randrange(256)
    return bytes(file)


def _head_changed(draw: random.Random, honest: list[bytes]) -> bytes:
    file = bytearray(draw.choice(honest))
    for _ in range(draw.randrange(1, 4)):
        file[draw.randrange(min(200, len(file)))] = draw.randrange(256)
    return bytes(file)


def _spliced(draw: random.Random, honest: list[bytes]) -> bytes:
    first, second = draw.sample(honest, 2)
    return first[: draw.randrange(len(first))] + second[draw.randrange(len(second)) :]


def _signature_and_noise(draw: random.Random, honest: list[bytes]) -> bytes:
    start = draw.choice(
        [_PNG, b"\xff\xd8\xff\xe0", b"RIFF\x24\x00\x00\x00WEBPVP8 ", b"RIFF\xff\xff\xff\xffWEBPVP8L"]
    )
    return start + draw.randbytes(draw.randrange(400))


def _noise(draw: random.Random, honest: list[bytes]) -> bytes:
    return draw.randbytes(draw.randrange(1, 400))


def _other_format(draw: random.Random, honest: list[bytes]) -> bytes:
    image = Image.new("RGB", (16, 16), "red")
    made = [
        _saved(image, name) for name in ("GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "PCX", "JPEG2000", "AVIF")
    ]
    texts = [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"%!PS-Adobe\n",
        b"PK\x03\x04",
        b"MZ",
    ]
    return draw.choice(made + texts)


def _animated(draw: random.Random, honest: list[bytes]) -> bytes:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    return _saved(frames[0], draw.choice(["PNG", "WEBP"]), save_all=True, append_images=frames[1:])


def _shape(draw: random.Random, honest: list[bytes]) -> bytes:
    """Thin, tiny or empty."""
    width, height = draw.choice([(1, 1), (1, 3000), (3000, 1), (2, 900), (7, 7), (4000, 8), (8, 4000)])
    return _saved(Image.new("RGB", (width, height), "red"), draw.choice(["PNG", "JPEG", "WEBP"]))


def _claimed_size(draw: random.Random, honest: list[bytes]) -> bytes:
    """A few bytes that say they are many pixels, or none."""
    side = draw.choice([0, 1, 5000, 6324, 6325, 30_000, 2**31 - 1, 2**32 - 1])
    other = draw.choice([1, side])
    rows = zlib.compress(b"\x00" * draw.randrange(200_000))
    header = struct.pack(
        ">IIBBBBB", side, other, draw.choice([1, 2, 4, 8, 16]), draw.choice([0, 2, 3, 4, 6]), 0, 0, 0
    )
    return _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunks(draw: random.Random, honest: list[bytes]) -> bytes:
    """A PNG with chunks of its own before the data: profiles, texts, times, wrong ones, twice the header."""
    file = honest[draw.randrange(4)]
    names = [
        b"iCCP",
        b"zTXt",
        b"tEXt",
        b"iTXt",
        b"eXIf",
        b"gAMA",
        b"cHRM",
        b"tRNS",
        b"PLTE",
        b"IHDR",
        b"acTL",
        b"fcTL",
    ]
    bodies = [
        b"",
        draw.randbytes(draw.randrange(60)),
        b"x\x00\x00" + zlib.compress(b"\x00" * 300_000),
        b"x\x00\x01\x00\x00\x00" + zlib.compress(b"a" * 1000),
        b"II*\x00\x08\x00\x00\x00" + b"\xff" * 20,
    ]
    extra = b"".join(_chunk(draw.choice(names), draw.choice(bodies)) for _ in range(draw.randrange(1, 5)))
    return file[:33] + extra + file[33:]


def _scans(draw: random.Random, honest: list[bytes]) -> bytes:
    """A progressive JPEG whose last scan comes a few times."""
    file = honest[5]
    start = file.rindex(b"\xff\xda")
    return file[:-2] + file[start:-2] * draw.randrange(1, 12) + b"\xff\xd9"


def _segments(draw: random.Random, honest: list[bytes]) -> bytes:
    """A JPEG with segments of its own before the data, of wrong lengths too."""
    file = honest[4 + draw.randrange(4)]
    made = b""
    for _ in range(draw.randrange(1, 6)):
        body = draw.randbytes(draw.randrange(40))
        length = len(body) + 2 if draw.random() < 0.7 else draw.randrange(2**16)
        made += bytes([0xFF, draw.choice([0xE0, 0xE1, 0xE2, 0xEE, 0xDB, 0xC4, 0xC0, 0xC2, 0xDD, 0xFE])])
        made += struct.pack(">H", length) + body
    return file[:2] + made + file[2:]


def _after_the_end(draw: random.Random, honest: list[bytes]) -> bytes:
    return draw.choice(honest) + draw.choice([b"\x00" * 1000, draw.randbytes(100), draw.choice(honest)])


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


_KINDS: list[tuple[str, Callable[[random.Random, list[bytes]], bytes]]] = [
    ("cut", _cut),
    ("cut, with an end", _cut_and_ended),
    ("changed", _changed),
    ("head changed", _head_changed),
    ("spliced", _spliced),
    ("signature and noise", _signature_and_noise),
    ("noise", _noise),
    ("another format", _other_format),
    ("animated", _animated),
    ("extreme shape", _shape),
    ("claimed size", _claimed_size),
    ("PNG chunks", _chunks),
    ("JPEG scans", _scans),
    ("JPEG segments", _segments),
    ("after the end", _after_the_end),
]
