"""Ordinary image operations on photographs: masks, and what is done within them.

A picture is RGB of Pillow; a mask a float array [height, width] from 0 (leave) to 1 (change). Nothing here
knows an instruction, and all of it is deterministic.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Mask = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float64]
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels
Hues = tuple[float, float]  # degrees, may pass through 0


def pixels(image: Image.Image) -> Pixels:
    """[height, width, 3], 0 to 255."""
    return np.asarray(image, dtype=np.float64)


def picture(values: Pixels) -> Image.Image:
    """The RGB image of [height, width, 3] values, cut to 0 to 255."""
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))


def blend(image: Image.Image, other: Image.Image, mask: Mask) -> Image.Image:
    """`other` where the mask is 1, `image` where it is 0."""
    share = mask[..., None]
    return picture(pixels(image) * (1 - share) + pixels(other) * share)


def everywhere(image: Image.Image) -> Mask:
    """The whole picture."""
    return np.ones((image.height, image.width))


def oval(image: Image.Image, box: Box) -> Mask:
    """An ellipse in a box, its edge hard."""
    return _drawn(image, lambda draw: draw.ellipse(box, fill=255))


def rectangle(image: Image.Image, box: Box) -> Mask:
    """A box, its edge hard."""
    return _drawn(image, lambda draw: draw.rectangle(box, fill=255))


def softened(mask: Mask, radius: float) -> Mask:
    """A mask with its edge blurred."""
    grey = Image.fromarray(np.rint(mask * 255).astype(np.uint8))
    return np.asarray(grey.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float64) / 255


def cleaned(mask: Mask, size: int) -> Mask:
    """Specks smaller than half of `size` pixels taken away, holes of that size filled."""
    grey = Image.fromarray(np.rint(mask * 255).astype(np.uint8))
    return np.asarray(grey.filter(ImageFilter.MedianFilter(size)), dtype=np.float64) / 255


def of_hue(image: Image.Image, hues: Hues, saturation: float = 0.0, brightness: float = 0.0) -> Mask:
    """Where the hue lies between two, and saturation and brightness (0 to 1) are at least so much."""
    hue, least, value = hsv(image)
    first, last = hues
    within = (hue >= first) & (hue <= last) if first <= last else (hue >= first) | (hue <= last)
    return (within & (least >= saturation) & (value >= brightness)).astype(np.float64)


def hsv(image: Image.Image) -> tuple[Mask, Mask, Mask]:
    """Hue in degrees, saturation and brightness from 0 to 1, each [height, width]."""
    hue, saturation, value = (np.asarray(band, dtype=np.float64) for band in image.convert("HSV").split())
    return hue * (360 / 256), saturation / 255, value / 255


def recoloured(
    image: Image.Image, mask: Mask, hue: float, saturation: float = 1.0, brightness: float = 1.0
) -> Image.Image:
    """Another hue in degrees; saturation and brightness are multiplied, so that shading and shine stay."""
    _, saturated, bright = hsv(image)
    bands = (
        np.full_like(bright, hue / 360),
        (saturated * saturation).clip(0, 1),
        (bright * brightness).clip(0, 1),
    )
    stacked = np.rint(np.stack(bands, axis=-1) * 255).astype(np.uint8)
    return blend(image, Image.fromarray(stacked, mode="HSV").convert("RGB"), mask)


def tinted(image: Image.Image, mask: Mask, dark: Colour, light: Colour) -> Image.Image:
    """Greys between two colours: sepia, a painted wall."""
    grey = pixels(image.convert("L").convert("RGB")) / 255
    return blend(image, picture(np.array(dark) + grey * (np.array(light) - np.array(dark))), mask)


def graded(image: Image.Image, top: Colour, bottom: Colour, horizon: float) -> Image.Image:
    """A sky as large as the image: one colour at the top, another from `horizon` (pixels) on."""
    down = (np.arange(image.height) / horizon).clip(0, 1)[:, None, None]
    colours = np.array(top) * (1 - down) + np.array(bottom) * down
    return picture(np.broadcast_to(colours, (image.height, image.width, 3)))


def under_a_sky(image: Image.Image, sky: Image.Image, mask: Mask) -> Image.Image:
    """The sky of another picture, by multiplication: what stands before a pale sky stays as it is."""
    return blend(image, picture(pixels(image) * pixels(sky) / 235), mask)


def across(image: Image.Image, left: int, right: int, top: int, bottom: int, seed: int) -> Image.Image:
    """Columns filled from what lies on both sides of them, line by line: removal before a smooth ground."""
    values = pixels(image)
    beside = 14  # columns read on either side
    before = values[top:bottom, left - beside : left]
    after = values[top:bottom, right : right + beside]
    share = np.linspace(0, 1, right - left)[None, :, None]
    smooth = _down(before.mean(axis=1))[:, None] * (1 - share) + _down(after.mean(axis=1))[:, None] * share
    grain = np.diff(before[: len(before) // 2], axis=1).std() / np.sqrt(2)
    filled_in = image.copy()
    filled_in.paste(grained(picture(smooth), grain, seed), (left, top))
    return filled_in


def filled(image: Image.Image, box: Box, seed: int) -> Image.Image:
    """An oval on an even ground covered by that ground: the plane of brightness around it, and its grain."""
    mask = oval(image, box)
    left, top, right, bottom = box
    around = oval(image, (left - 9, top - 9, right + 9, bottom + 9)) * (1 - mask) > 0
    y, x = np.nonzero(around)
    near = pixels(image)[y, x]
    dark = near.sum(axis=1) <= np.quantile(near.sum(axis=1), 0.65)  # the rest belongs to neighbours
    plane, *_ = np.linalg.lstsq(_places(x[dark], y[dark]), near[dark], rcond=None)
    height, width = mask.shape
    rows, columns = np.mgrid[0:height, 0:width]
    ground = (_places(columns.ravel(), rows.ravel()) @ plane).reshape(height, width, 3)
    grain = float((near[dark] - _places(x[dark], y[dark]) @ plane).std()) * 0.8
    return blend(image, grained(picture(ground), grain, seed), softened(mask, 2.0))


def blurred(image: Image.Image, mask: Mask, radius: float) -> Image.Image:
    """Out of focus within the mask."""
    return blend(image, image.filter(ImageFilter.GaussianBlur(radius)), mask)


def grained(image: Image.Image, strength: float, seed: int) -> Image.Image:
    """Noise of a standard deviation in grey levels."""
    noise = np.random.default_rng(seed).normal(0, strength, (image.height, image.width, 1))
    return picture(pixels(image) + noise)


def pasted(image: Image.Image, piece: Image.Image, mask: Mask, at: tuple[int, int]) -> Image.Image:
    """A piece with its mask, its top left corner at `at`."""
    edited = image.copy()
    edited.paste(piece, at, Image.fromarray(np.rint(mask * 255).astype(np.uint8)))
    return edited


def shadowed(image: Image.Image, box: Box, strength: float, radius: float) -> Image.Image:
    """Darker within a soft oval."""
    return blend(image, Image.new("RGB", image.size), softened(oval(image, box), radius) * strength)


def moon(side: int, seed: int) -> tuple[Image.Image, Mask]:
    """A full moon with darker seas, and the mask of its disc; drawn, not photographed."""
    random = np.random.default_rng(seed)
    disc = Image.new("RGB", (side, side), (243, 240, 226))
    seas = np.zeros((side, side))
    for _ in range(7):
        x, y = random.uniform(0.15, 0.75, 2) * side
        width, height = random.uniform(0.1, 0.3, 2) * side
        seas = np.maximum(seas, oval(disc, (x, y, x + width, y + height)))
    disc = blend(disc, Image.new("RGB", disc.size, (188, 186, 178)), softened(seas, side / 22) * 0.8)
    inset = side * 0.06
    return disc, softened(oval(disc, (inset, inset, side - inset, side - inset)), side / 60)


def lettered(
    image: Image.Image, text: str, centre: tuple[float, float], height: float, colour: Colour
) -> Image.Image:
    """Text around a point, `height` in pixels, in Pillow's own font; what is beyond the edge is cut off."""
    edited = image.copy()
    ImageDraw.Draw(edited).text(centre, text, fill=colour, font=ImageFont.load_default(height), anchor="mm")
    return edited


def _drawn(image: Image.Image, draw: Callable[[ImageDraw.ImageDraw], object]) -> Mask:
    grey = Image.new("L", image.size)
    draw(ImageDraw.Draw(grey))
    return np.asarray(grey, dtype=np.float64) / 255


def _down(lines: Pixels) -> Pixels:
    """[height, 3] means of lines, evened out over neighbouring ones."""
    padded = np.pad(lines, ((4, 4), (0, 0)), mode="edge")
    return sum((padded[start : start + len(lines)] for start in range(9)), np.zeros_like(lines)) / 9


def _places(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> Pixels:
    """[points, 3]: right, down, and one, for a plane."""
    return np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float64)
