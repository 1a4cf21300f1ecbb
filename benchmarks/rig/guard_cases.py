"""What editors, trainers and cheats make of a photograph, each with what a guard ought to say of it."""

import functools
import io
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from rig.photographs import photographs, real_edits, real_no_edits

Kind = Literal["honest", "copy", "autoencoder", "moved", "framed", "toned"]
Operation = Callable[[Image.Image], Image.Image]
Change = tuple[Kind, str, str, Operation]  # kind, name, instruction, what is done
Size = tuple[int, int]
KINDS: dict[Kind, str] = {
    "honest": "edits that did what was asked",
    "copy": "the source, encoded or resized again",
    "autoencoder": "the source through an autoencoder",
    "moved": "the source shifted, zoomed or turned a little",
    "framed": "a frame or bars that nobody asked for",
    "toned": "the source a little brighter or darker, not asked for",
}
_GREY = ("brick", "camera", "coins", "grass", "gravel", "moon", "page")
_COLOUR_EDITS = ("grey", "8 % more colour")
UNRELATED = "replace the cat with a dog"
# FLUX.1-Kontext's preferred sizes, as its publisher lists them.
KONTEXT = (
    (672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248), (880, 1184), (944, 1104),
    (1024, 1024), (1104, 944), (1184, 880), (1248, 832), (1328, 800), (1392, 752), (1456, 720), (1504, 688),
    (1568, 672),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One candidate of a photograph. `make` gives source and candidate."""

    kind: Kind
    name: str
    instruction: str
    make: Callable[[], tuple[Image.Image, Image.Image]]


def cases_of(originals: Mapping[str, Image.Image], part: int = 1) -> Iterator[Case]:
    """Every case of some photographs, or each `part`-th: the same ones every time."""
    number = 0
    for index, (name, photograph) in enumerate(originals.items()):
        other = list(originals.values())[(index + 1) % len(originals)]
        for kind, case, instruction, change in _changes(name, photograph, other):
            if name in _GREY and case in _COLOUR_EDITS:
                continue  # an edit of colour changes nothing there
            number += 1
            if number % part == 0:
                yield Case(kind, f"{name}: {case}", instruction, functools.partial(_pair, photograph, change))


def real_cases() -> Iterator[Case]:
    """What real editors made, where there is any."""
    for edit in real_edits():
        to_size = functools.partial(_resized, size=kontext_size(edit.source.size))
        for label, change in (("real", _same), ("real, by Kontext's size", to_size)):
            edited = functools.partial(_after, change, edit.edited)
            yield Case(
                "honest",
                f"{label}: {edit.name}",
                edit.instruction,
                functools.partial(_pair, edit.source, edited),
            )
    for edit in real_no_edits():
        edited = functools.partial(_after, _same, edit.edited)
        yield Case(
            "autoencoder",
            f"real: {edit.name}",
            edit.instruction,
            functools.partial(_pair, edit.source, edited),
        )


def large_cases() -> Iterator[Case]:
    """Small things in photographs of 12 megapixels, and such photographs encoded again."""
    for name, photograph in photographs().items():
        seed = zlib.crc32(name.encode())
        to_jpeg = functools.partial(encoded, suffix="JPEG", quality=90)
        button = functools.partial(with_thing, side=8, seed=seed)
        larger = functools.partial(_chained, functools.partial(with_thing, side=24, seed=seed), to_jpeg)
        changes: tuple[tuple[Kind, str, Operation], ...] = (
            ("honest", "8 px of 12 Mpx", button),
            ("honest", "24 px of 12 Mpx, JPEG", larger),
            ("copy", "12 Mpx, JPEG 90", to_jpeg),
        )
        for kind, label, change in changes:
            yield Case(
                kind,
                f"{name}: {label}",
                "add a button",
                functools.partial(_large_pair, photograph, change),
            )


def _pair(image: Image.Image, change: Operation) -> tuple[Image.Image, Image.Image]:
    return image, change(image)


def _large_pair(image: Image.Image, change: Operation) -> tuple[Image.Image, Image.Image]:
    return _pair(_large(image, 4000), change)


def _same(image: Image.Image) -> Image.Image:
    return image.copy()


def _after(change: Operation, edited: Image.Image, _: Image.Image) -> Image.Image:
    return change(edited)


def _chained(first: Operation, second: Operation, image: Image.Image) -> Image.Image:
    return second(first(image))


def _resized(
    image: Image.Image, size: Size, resampling: Image.Resampling = Image.Resampling.LANCZOS
) -> Image.Image:
    return image.resize(size, resampling)


def kontext_size(size: Size) -> Size:
    """The preferred size that is nearest in shape."""
    return min(KONTEXT, key=lambda preferred: abs(preferred[0] / preferred[1] - size[0] / size[1]))


def qwen_size(size: Size, side: int) -> Size:
    """The size of that area, each side a multiple of 32, as Qwen-Image-Edit's pipelines round it."""
    ratio = size[0] / size[1]
    width = math.sqrt(side * side * ratio)
    return round(width / 32) * 32, round(width / ratio / 32) * 32


def encoded(image: Image.Image, suffix: str, **options: int | bool) -> Image.Image:
    """What is left of an image that was written to a file."""
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def autoencoded(image: Image.Image, components: int, seed: int = 0) -> Image.Image:
    """The image from `components` numbers for every 8 x 8 block of three colours, by overlapping patches.

    A linear autoencoder (principal components of the image's own patches). Like those of editors it keeps
    what is large and smooth, and draws fine texture anew: 64 numbers are about FLUX's, 16 about SDXL's in
    what is lost.
    """
    pixels = np.asarray(image, dtype=np.float32)
    height, width = (side // 8 * 8 for side in pixels.shape[:2])
    rng = np.random.default_rng(seed)
    total, weight = np.zeros_like(pixels), np.zeros((*pixels.shape[:2], 1), dtype=np.float32)
    for top, left in ((0, 0), (4, 4)):
        rows, columns = (height - top) // 8, (width - left) // 8
        area = np.s_[top : top + rows * 8, left : left + columns * 8]
        patches = pixels[area].reshape(rows, 8, columns, 8, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 192)
        mean = patches.mean(axis=0)
        chosen = patches[rng.permutation(len(patches))[:2000]] - mean
        basis = np.linalg.svd(chosen, full_matrices=False)[2][:components]
        codes = (patches - mean) @ basis.T
        codes += rng.normal(0, 1.5, codes.shape).astype(np.float32)  # the latents are of half precision
        again = (codes @ basis + mean).reshape(rows, columns, 8, 8, 3).transpose(0, 2, 1, 3, 4)
        total[area] += again.reshape(rows * 8, columns * 8, 3)
        weight[area] += 1
    rebuilt = np.where(weight > 0, total / np.maximum(weight, 1), pixels)
    return Image.fromarray(np.clip(np.rint(rebuilt), 0, 255).astype(np.uint8))


def moved(
    image: Image.Image, dx: float = 0, dy: float = 0, zoom: float = 1.0, degrees: float = 0
) -> Image.Image:
    """The image about its middle; what comes in at the edges is mirrored from the image."""
    margin = 64
    padded = np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    angle = math.radians(degrees)
    a, b = math.cos(angle) / zoom, math.sin(angle) / zoom
    cx, cy = image.width / 2, image.height / 2
    matrix = (
        a, b, cx + margin - a * (cx + dx) - b * (cy + dy),
        -b, a, cy + margin + b * (cx + dx) - a * (cy + dy),
    )  # fmt: skip
    return Image.fromarray(padded).transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )


def framed(
    image: Image.Image, sides: tuple[float, float, float, float], colour: tuple[int, int, int], shrunk: bool
) -> Image.Image:
    """Bars at the top, bottom, left and right, as shares of the side: over the image, or beside it shrunk."""
    width, height = image.size
    top, bottom, left, right = (
        round(share * side) for share, side in zip(sides, (height, height, width, width), strict=True)
    )
    ring = np.asarray(image.resize((9, 9), Image.Resampling.BOX), dtype=np.float64)
    if np.abs(np.median(ring.reshape(-1, 3), axis=0) - colour).max() < 70:
        colour = (255 - colour[0], 255 - colour[1], 255 - colour[2])  # or nobody would see it
    if max(colour) - min(colour) < 30 and 90 < colour[0] < 160:  # a grey has no opposite
        colour = (20, 20, 20)
    canvas = Image.new("RGB", image.size, colour)
    box = (left, top, width - right, height - bottom)
    inner = (box[2] - box[0], box[3] - box[1])
    canvas.paste(image.resize(inner, Image.Resampling.LANCZOS) if shrunk else image.crop(box), box[:2])
    return canvas


def with_patch(image: Image.Image, other: Image.Image, share: float, seed: int) -> Image.Image:
    """A round piece of another photograph pasted in, `share` of the shorter side wide."""
    rng = np.random.default_rng(seed)
    side = max(4, round(share * min(image.size)))
    x, y = (int(rng.integers(0, max(1, length - side))) for length in image.size)
    best = None
    for _ in range(20):  # somewhere it can be seen
        u, v = (int(rng.integers(0, max(1, length - side))) for length in other.size)
        patch = other.crop((u, v, u + side, v + side))
        seen = np.abs(
            np.asarray(patch, dtype=np.float64).mean(axis=(0, 1))
            - np.asarray(image.crop((x, y, x + side, y + side)), dtype=np.float64).mean(axis=(0, 1))
        ).max()
        if best is None or seen > best[0]:
            best = (seen, patch)
    assert best is not None
    mask = Image.new("L", (side * 4, side * 4), 0)
    ImageDraw.Draw(mask).ellipse((0, 0, side * 4 - 1, side * 4 - 1), fill=255)
    edited = image.copy()
    edited.paste(best[1], (x, y), mask.resize((side, side), Image.Resampling.BOX))
    return edited


def with_thing(image: Image.Image, side: int, seed: int) -> Image.Image:
    """A disc of a colour that the place has not, `side` pixels wide."""
    rng = np.random.default_rng(seed)
    x, y = (int(rng.integers(side, length - 2 * side)) for length in image.size)
    around = np.asarray(image.crop((x, y, x + side, y + side)), dtype=np.float64).mean(axis=(0, 1))
    colour = tuple(int(v) for v in np.where(around < 128, 235, 20))
    edited = image.copy()
    ImageDraw.Draw(edited).ellipse((x, y, x + side - 1, y + side - 1), fill=colour)
    return edited


def without_piece(image: Image.Image, share: float, seed: int) -> Image.Image:
    """The busiest of some places smoothed over from around: something was taken out."""
    rng = np.random.default_rng(seed)
    side = round(share * min(image.size))
    grey = np.asarray(image.convert("L"), dtype=np.float64)
    places = [
        (int(rng.integers(side, image.width - 2 * side)), int(rng.integers(side, image.height - 2 * side)))
        for _ in range(12)
    ]
    x, y = max(places, key=lambda p: grey[p[1] : p[1] + side, p[0] : p[0] + side].std())
    pixels = np.asarray(image, dtype=np.float64).copy()
    left, right = pixels[y : y + side, x - 1], pixels[y : y + side, x + side]
    ramp = np.linspace(0, 1, side)[None, :, None]
    pixels[y : y + side, x : x + side] = left[:, None] * (1 - ramp) + right[:, None] * ramp
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _graded(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.convert("RGB", matrix)


def _tinted(image: Image.Image, share: float, seed: int) -> Image.Image:
    """A region in another hue."""
    side = round(share * min(image.size))
    rng = np.random.default_rng(seed)
    x, y = (int(rng.integers(0, length - side)) for length in image.size)
    box = (x, y, x + side, y + side)
    region = _graded(image.crop(box), (0.3, 0.3, 0.9, 0, 0.9, 0.2, 0.2, 0, 0.2, 0.9, 0.2, 0))
    edited = image.copy()
    edited.paste(region, box[:2])
    return edited


def _lettered(image: Image.Image, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    size = max(14, image.height // 16)
    at = (int(rng.integers(0, image.width // 2)), int(rng.integers(0, image.height - size)))
    edited = image.copy()
    ImageDraw.Draw(edited).text(
        at, "PLANE", fill=(255, 240, 40), stroke_width=2, stroke_fill=(0, 0, 0), font_size=size
    )
    return edited


def _grained(image: Image.Image, std: float, seed: int) -> Image.Image:
    noise: npt.NDArray[np.float64] = np.random.default_rng(seed).normal(
        0, std, (image.height, image.width, 1)
    )
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _large(image: Image.Image, long_side: int) -> Image.Image:
    factor = long_side / max(image.size)
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def _changes(name: str, photograph: Image.Image, other: Image.Image) -> Iterator[Change]:
    seed = zlib.crc32(name.encode())
    yield from _copies(seed)
    yield from _moves()
    yield from _frames(other, seed)
    yield from _local_edits(other, seed)
    yield from _whole_edits(other, seed)
    yield from _asked_for()
    yield from _sizes(photograph.size, other, seed)


def _copies(seed: int) -> Iterator[Change]:
    yield "copy", "the very pixels", UNRELATED, _same
    for quality in (95, 85, 75, 60, 40):
        yield "copy", f"JPEG {quality}", UNRELATED, functools.partial(encoded, suffix="JPEG", quality=quality)
    full_colour = functools.partial(encoded, suffix="JPEG", quality=90, subsampling=0)
    yield "copy", "JPEG 90, full colour", UNRELATED, full_colour
    for quality in (90, 70, 50):
        yield "copy", f"WebP {quality}", UNRELATED, functools.partial(encoded, suffix="WEBP", quality=quality)
    for resampling in (
        Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BILINEAR, Image.Resampling.BOX
    ):  # fmt: skip
        for factor in (0.5, 0.75, 1.5):
            label = f"{factor} times by {resampling.name.lower()}"
            yield "copy", label, UNRELATED, functools.partial(_scaled, factor=factor, resampling=resampling)
    yield "copy", "half and back", UNRELATED, _half_and_back
    yield "copy", "by Kontext's size", UNRELATED, lambda i: _resized(i, kontext_size(i.size))
    for side in (512, 1024):
        yield "copy", f"by Qwen's size of {side}, JPEG", UNRELATED, functools.partial(_by_qwen, side=side)
        squeezed = functools.partial(_resized, size=(side, side), resampling=Image.Resampling.BICUBIC)
        yield "copy", f"squeezed to a square of {side}", UNRELATED, squeezed
    for components in (64, 32, 16):
        coded = functools.partial(autoencoded, components=components, seed=seed)
        yield "autoencoder", f"{components} numbers a block", UNRELATED, coded
    for components in (48, 24):
        coded = functools.partial(_autoencoded_larger, components=components, seed=seed)
        yield "autoencoder", f"{components} numbers a block of 1.5 times, WebP", UNRELATED, coded
    at_kontext = functools.partial(_autoencoded_by_kontext, seed=seed)
    yield "autoencoder", "64 numbers a block, by Kontext's size", UNRELATED, at_kontext
    for gain in (0.97, 1.03):
        yield "toned", f"brightness {gain}", UNRELATED, functools.partial(_brighter, gain=gain)


def _scaled(image: Image.Image, factor: float, resampling: Image.Resampling) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), resampling)


def _half_and_back(image: Image.Image) -> Image.Image:
    return _scaled(image, 0.5, Image.Resampling.LANCZOS).resize(image.size, Image.Resampling.BICUBIC)


def _by_qwen(image: Image.Image, side: int) -> Image.Image:
    return encoded(_resized(image, qwen_size(image.size, side)), "JPEG", quality=90)


def _autoencoded_larger(image: Image.Image, components: int, seed: int) -> Image.Image:
    larger = autoencoded(_large(image, round(max(image.size) * 1.5)), components, seed)
    return encoded(_resized(larger, image.size), "WEBP", quality=90)


def _autoencoded_by_kontext(image: Image.Image, seed: int) -> Image.Image:
    return autoencoded(_resized(image, kontext_size(image.size)), 64, seed)


def _brighter(image: Image.Image, gain: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(gain)


def _moves() -> Iterator[Change]:
    for dx, dy in ((1.0, 0.0), (0.0, 1.0), (2.0, 1.0), (0.5, 0.5), (-3.0, 0.0), (3.0, -2.0)):
        yield "moved", f"by {dx}, {dy} px", UNRELATED, functools.partial(moved, dx=dx, dy=dy)
    for zoom in (0.98, 0.99, 1.005, 1.01, 1.02):
        yield "moved", f"zoom {zoom}", UNRELATED, functools.partial(moved, zoom=zoom)
    for degrees in (0.25, 0.5, 1.0, -1.0):
        yield "moved", f"by {degrees}°", UNRELATED, functools.partial(moved, degrees=degrees)
    all_of_it = functools.partial(moved, dx=2, zoom=1.01, degrees=0.5)
    to_jpeg = functools.partial(encoded, suffix="JPEG", quality=85)
    yield (
        "moved",
        "zoom 1.01, by 0.5°, 2 px, JPEG",
        UNRELATED,
        functools.partial(_chained, all_of_it, to_jpeg),
    )


def _frames(other: Image.Image, seed: int) -> Iterator[Change]:
    white, black, grey, wood = (255, 255, 255), (0, 0, 0), (120, 120, 120), (150, 90, 40)
    kinds = (
        ("frame of 3 %, white", (0.03, 0.03, 0.03, 0.03), white, True),
        ("frame of 8 %, black", (0.08, 0.08, 0.08, 0.08), black, True),
        ("frame of 15 %, wood", (0.15, 0.15, 0.15, 0.15), wood, True),
        ("frame of 25 %, white", (0.25, 0.25, 0.25, 0.25), white, True),
        ("frame of 6 % over it, grey", (0.06, 0.06, 0.06, 0.06), grey, False),
        ("polaroid", (0.06, 0.2, 0.06, 0.06), white, True),
        ("letterbox of 12 %", (0.12, 0.12, 0.0, 0.0), black, False),
        ("letterbox of 5 %, shrunk, white", (0.05, 0.05, 0.0, 0.0), white, True),
        ("pillars of 15 %", (0.0, 0.0, 0.15, 0.15), black, True),
        ("pillars of 25 %, white", (0.0, 0.0, 0.25, 0.25), white, False),
        ("a bar below of 10 %", (0.0, 0.1, 0.0, 0.0), white, False),
        ("a bar to the left of 8 %", (0.0, 0.0, 0.08, 0.0), grey, True),
    )
    edit = functools.partial(with_patch, other=other, share=0.3, seed=seed)
    for label, sides, colour, shrunk in kinds:
        frame = functools.partial(framed, sides=sides, colour=colour, shrunk=shrunk)
        yield "framed", label, UNRELATED, functools.partial(_chained, edit, frame)
    thin = functools.partial(framed, sides=(0.05, 0.05, 0.05, 0.05), colour=white, shrunk=True)
    to_jpeg = functools.partial(encoded, suffix="JPEG", quality=85)
    yield (
        "framed",
        "frame of 5 %, nothing edited, JPEG",
        UNRELATED,
        functools.partial(_chained, thin, to_jpeg),
    )


def _local_edits(other: Image.Image, seed: int) -> Iterator[Change]:
    to_jpeg = functools.partial(encoded, suffix="JPEG", quality=85)
    coded = functools.partial(autoencoded, components=64, seed=seed)
    for number, share in enumerate((0.05, 0.1, 0.2, 0.4)):
        patch = functools.partial(with_patch, other=other, share=share, seed=seed + number)
        yield "honest", f"a thing of {share:.0%}", "add a ball", patch
        in_jpeg = functools.partial(_chained, patch, to_jpeg)
        yield "honest", f"a thing of {share:.0%}, JPEG 85", "add a ball", in_jpeg
        if 0.05 < share < 0.4:
            drawn_anew = functools.partial(_chained, patch, coded)
            yield "honest", f"a thing of {share:.0%} through an autoencoder", "add a ball", drawn_anew
    for side in (8, 16):
        thing = functools.partial(with_thing, side=side, seed=seed)
        yield "honest", f"a thing of {side} px", "add a button", thing
    for share in (0.1, 0.2):
        taken = functools.partial(without_piece, share=share, seed=seed)
        yield "honest", f"{share:.0%} taken out", "remove the lamp", taken
    hue = functools.partial(_tinted, share=0.2, seed=seed)
    yield "honest", "20 % in another hue", "make the shirt blue", hue
    yield "honest", "letters", "write PLANE on the sign", functools.partial(_lettered, seed=seed)


def _whole_edits(other: Image.Image, seed: int) -> Iterator[Change]:
    edits: tuple[tuple[str, str, Operation], ...] = (
        ("grey", "make it black and white", lambda i: ImageOps.grayscale(i).convert("RGB")),
        ("warm", "give it a warm evening light", lambda i: _graded(i, _WARM)),
        ("night", "make it night", lambda i: ImageEnhance.Brightness(i).enhance(0.35)),
        ("poster", "turn it into a poster", lambda i: ImageOps.posterize(i, 2)),
        ("oil", "as an oil painting", _oiled),
        ("pencil", "as a pencil drawing", _pencilled),
        ("blurred", "blur the background", lambda i: i.filter(ImageFilter.GaussianBlur(max(i.size) / 60))),
        ("other", "replace it with another scene", lambda i: other.resize(i.size)),
        ("white ground", "put it on a white background", lambda i: _on_ground(i, (255, 255, 255))),
        ("rain", "make it rain", lambda i: _rainy(i, seed)),
        ("snow", "let it snow", lambda i: _snowy(i, seed)),
        ("clear sky", "make the sky clear", lambda i: _under_sky(i, (60, 120, 210), (190, 215, 240))),
        ("sunset", "make it a sunset", lambda i: _under_sky(i, (40, 30, 90), (250, 150, 80))),
        ("backdrop", "replace it all with a blue studio backdrop", _backdrop),
        ("wall", "paint the wall behind plain white", lambda i: _walled(i)),
        ("black ground", "replace the background with black", lambda i: _on_ground(i, (0, 0, 0))),
        ("3 % brighter", "make it slightly brighter", lambda i: _brighter(i, 1.03)),
        ("3 % darker", "darken the picture a little", lambda i: _brighter(i, 0.97)),
        ("4 % more contrast", "raise the contrast a bit", lambda i: ImageEnhance.Contrast(i).enhance(1.04)),
        ("8 % more colour", "稍微提高饱和度", lambda i: ImageEnhance.Color(i).enhance(1.08)),
        ("grain", "add film grain", lambda i: _grained(i, 6, seed)),
        ("sharper", "sharpen the photo", lambda i: i.filter(ImageFilter.UnsharpMask(2, 60))),
    )  # fmt: skip
    for label, instruction, change in edits:
        yield "honest", label, instruction, change


_WARM = (1.1, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0.8, 0)


def _pencilled(image: Image.Image) -> Image.Image:
    return ImageOps.invert(image.convert("L").filter(ImageFilter.FIND_EDGES)).convert("RGB")


def _on_ground(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """An oval of the image as the object on a plain background."""
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).ellipse(
        (image.width * 0.2, image.height * 0.15, image.width * 0.8, image.height * 0.9), fill=255
    )
    return Image.composite(image, Image.new("RGB", image.size, colour), mask)


Colour = tuple[int, int, int]


def _rainy(image: Image.Image, seed: int) -> Image.Image:
    """Thin slanting streaks, half let through."""
    rng = np.random.default_rng(seed)
    streaks = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(streaks)
    for _ in range(image.width * image.height // 650):
        x, y = (int(rng.integers(0, side)) for side in image.size)
        draw.line((x, y, x - 4, y + 18), fill=110)
    return Image.composite(Image.new("RGB", image.size, (225, 230, 240)), image, streaks)


def _snowy(image: Image.Image, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    edited = image.copy()
    draw = ImageDraw.Draw(edited)
    for _ in range(image.width * image.height // 600):
        x, y = (int(rng.integers(0, side)) for side in image.size)
        draw.ellipse((x, y, x + 2, y + 2), fill=(245, 245, 250))
    return edited


def _graded_from(size: Size, top: Colour, bottom: Colour) -> Image.Image:
    lines = np.linspace(top, bottom, size[1])[:, None].repeat(size[0], axis=1)
    return Image.fromarray(np.rint(lines).astype(np.uint8))


def _under_sky(image: Image.Image, top: Colour, bottom: Colour) -> Image.Image:
    """A sky of two colours down to a horizon that waves."""
    sky = _graded_from(image.size, top, bottom)
    x, y = np.meshgrid(np.arange(image.width), np.arange(image.height))
    horizon = image.height * (0.5 + 0.03 * np.sin(x / image.width * 9))
    return Image.composite(sky, image, Image.fromarray(((y < horizon) * 255).astype(np.uint8)))


def _backdrop(image: Image.Image) -> Image.Image:
    return _graded_from(image.size, (20, 60, 130), (90, 150, 220))


def _oiled(image: Image.Image) -> Image.Image:
    small = image.resize((image.width * 300 // max(image.size), image.height * 300 // max(image.size)))
    return small.filter(ImageFilter.ModeFilter(9)).resize(image.size, Image.Resampling.BICUBIC)


def _walled(image: Image.Image) -> Image.Image:
    """The upper third one colour, down to a straight edge."""
    edited = image.copy()
    edited.paste((240, 240, 236), (0, 0, image.width, image.height // 3))
    return edited


def _asked_for() -> Iterator[Change]:
    white, black = (255, 255, 255), (0, 0, 0)
    edits: tuple[tuple[str, str, Operation], ...] = (
        ("polaroid", "add a white polaroid frame", lambda i: framed(i, (0.06, 0.2, 0.06, 0.06), white, True)),
        ("letterbox", "give it cinematic black bars", lambda i: framed(i, (0.12, 0.12, 0, 0), black, False)),
        ("border", "给图片加上黑色边框", lambda i: framed(i, (0.05, 0.05, 0.05, 0.05), black, True)),
        ("longer", "extend it to 3:1", lambda i: ImageOps.pad(i, (3 * i.height, i.height), color="teal")),
        ("crop", "crop to the left half", lambda i: i.crop((0, 0, i.width // 2, i.height))),
        ("wide", "crop it to 16:9", lambda i: ImageOps.fit(i, (1024, 576))),
        ("turned", "rotate the picture by 90 degrees", lambda i: i.transpose(Image.Transpose.ROTATE_90)),
        ("level", "straighten the horizon", lambda i: moved(i, degrees=1.0)),
        ("zoom", "zoom in a little", lambda i: moved(i, zoom=1.02)),
        ("black", "make the whole picture black", lambda i: Image.new("RGB", i.size, black)),
        ("white", "fill the image with plain white", lambda i: Image.new("RGB", i.size, white)),
        ("as it is", "keep the image unchanged", lambda i: encoded(i, "JPEG", quality=90)),
    )  # fmt: skip
    for label, instruction, change in edits:
        yield "honest", f"asked: {label}", instruction, change


def _sizes(size: Size, other: Image.Image, seed: int) -> Iterator[Change]:
    """Edits in the sizes that editors and trainers give them."""
    shapes: tuple[tuple[str, Size], ...] = (
        ("Kontext", kontext_size(size)),
        ("Qwen, 512", qwen_size(size, 512)),
        ("Qwen, 1024", qwen_size(size, 1024)),
        ("always 1024 x 1024", (1024, 1024)),
        ("always 512 x 512", (512, 512)),
        ("always 1248 x 832", (1248, 832)),
    )
    edit = functools.partial(with_patch, other=other, share=0.25, seed=seed)
    for label, shape in shapes:
        to_size = functools.partial(_resized, size=shape)
        yield (
            "honest",
            f"edit by the size of {label}",
            "add a ball",
            functools.partial(_chained, edit, to_size),
        )
