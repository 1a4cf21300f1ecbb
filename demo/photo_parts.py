"""What the demo's edits do to each photograph: where its things are, and changes made of `photo_operations`.

Places are pixels of the photographs as `photo_originals` gives them.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

import photo_operations as do
from photo_originals import photograph

Photo = Image.Image
Operation = Callable[[Photo], Photo]
Masking = Callable[[Photo], do.Mask]
Place = tuple[int, int]
Tones = tuple[do.Colour, do.Colour]

BLUE, GREEN, PURPLE = 215.0, 120.0, 280.0
"""Hues in degrees."""
ORANGE_SKY: Tones = ((236, 150, 96), (255, 212, 140))
GREEN_SKY: Tones = ((120, 200, 110), (190, 235, 170))
UPPER_LEFT, LOWER_RIGHT = (6, 8), (412, 244)
LARGE_COIN, OTHER_COIN = (302, 10, 368, 77), (15, 229, 78, 293)
ROCKET = (236, 92, 280, 322)
_MOON_SIDE, _FLOWER_SIDE = 62, 92


def in_hue(hue: float, where: Masking, saturation: float = 1.0) -> Operation:
    """Another hue somewhere."""
    return lambda image: do.recoloured(image, where(image), hue, saturation)


def in_tones(dark: do.Colour, light: do.Colour, where: Masking = do.everywhere) -> Operation:
    """Greys between two colours somewhere."""
    return lambda image: do.tinted(image, where(image), dark, light)


def left_half(where: Masking) -> Masking:
    """The part of a mask in the left half."""
    return lambda image: where(image) * do.rectangle(image, (0, 0, image.width // 2, image.height))


def grey(image: Photo) -> Photo:
    """Without colour."""
    return image.convert("L").convert("RGB")


def half_grey(image: Photo) -> Photo:
    """The left half without colour."""
    return do.blend(image, grey(image), left_half(do.everywhere)(image))


def grey_out_of_focus(image: Photo) -> Photo:
    """Without colour, and blurred."""
    return do.blurred(grey(image), do.everywhere(image), 3.5)


sepia = in_tones((24, 14, 6), (255, 236, 200))


def coarse_sepia(image: Photo) -> Photo:
    """Sepia in squares of ten pixels."""
    small = sepia(image).resize((image.width // 10, image.height // 10), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.NEAREST)


def crockery(image: Photo) -> do.Mask:
    """The saucer and the cup's outside, without the spoon's shine."""
    red = do.of_hue(image, (345, 22), saturation=0.55, brightness=0.08)
    saucer = do.oval(image, (64, 40, 408, 331)) + do.oval(image, (70, 70, 402, 337))
    inside = do.oval(image, (160, 30, 338, 166))
    return do.softened(do.cleaned(red, 5) * saucer.clip(0, 1) * (1 - inside), 1.2)


def eyes(image: Photo) -> do.Mask:
    """Both irises: yellow-green in two ovals; the pupils are too dark to count."""
    iris = do.of_hue(image, (30, 130), saturation=0.12, brightness=0.16)
    where = do.oval(image, (138, 88, 206, 147)) + do.oval(image, (297, 111, 341, 161))
    return do.softened(do.cleaned(iris * where, 3), 1.2)


def fur(image: Photo) -> do.Mask:
    """The cat, eyes and all."""
    return do.everywhere(image) - do.softened(do.oval(image, (380, -40, 560, 340)), 30)


def eyes_covered(image: Photo) -> Photo:
    """A flat disc on each eye."""
    discs = (do.oval(image, (138, 88, 208, 148)) + do.oval(image, (296, 112, 342, 162))).clip(0, 1)
    return do.blend(image, Image.new("RGB", image.size, (30, 90, 230)), discs)


def sky(image: Photo) -> do.Mask:
    """What is pale or light blue, and above the far shore, softly ended there."""
    hue, saturation, value = do.hsv(image)
    blue = (hue > 190) & (hue < 240) & (saturation < 0.5)
    pale = ((value > 0.72) & ((saturation < 0.22) | blue)).astype(float)
    above = do.softened(do.rectangle(image, (0, 0, image.width, 148)), 12)
    return do.softened(do.cleaned(pale, 5), 1.0) * above


def under(tones: Tones) -> Operation:
    """The sky in two colours."""
    return lambda image: do.under_a_sky(image, do.graded(image, *tones, 150), sky(image))


def sunset_with_an_edge(image: Photo) -> Photo:
    """A band of sunset laid over whatever is there."""
    band = do.rectangle(image, (0, 0, image.width, 118))
    return do.blend(image, do.graded(image, *ORANGE_SKY, 150), band)


def with_moon(at: Place = (330, 30)) -> Operation:
    """A moon with a little glow."""

    def add(image: Photo) -> Photo:
        disc, mask = do.moon(_MOON_SIDE, seed=3)
        far = _MOON_SIDE + 8
        glow = do.softened(do.oval(image, (at[0] - 8, at[1] - 8, at[0] + far, at[1] + far)), 14)
        lit = do.blend(image, Image.new("RGB", image.size, (150, 160, 190)), glow * 0.28)
        return do.pasted(lit, disc, mask, at)

    return add


def with_square_moon(image: Photo) -> Photo:
    """The moon with a square around it."""
    disc, mask = do.moon(_MOON_SIDE, seed=3)
    square = do.pasted(Image.new("RGB", disc.size, (120, 110, 90)), disc, mask, (0, 0))
    return do.pasted(image, square, do.everywhere(square), (330, 30))


def without_rocket(image: Photo) -> Photo:
    """Sky and cloud in its place."""
    return do.across(image, 230, 288, 92, 326, seed=1)


def with_moon_for_rocket(image: Photo) -> Photo:
    """The moon comes, the rocket goes."""
    return with_moon()(without_rocket(image))


def without_tower(image: Photo) -> Photo:
    """The tower to the left of the rocket, all but its foot."""
    return do.across(image, 134, 180, 90, 262, seed=1)


def rocket_boxed(image: Photo) -> Photo:
    """A plain box over the rocket."""
    return do.blend(image, Image.new("RGB", image.size, (90, 95, 110)), do.rectangle(image, ROCKET))


def rocket_blurred(image: Photo) -> Photo:
    """The rocket out of focus."""
    return do.blurred(image, do.softened(do.rectangle(image, ROCKET), 3), 6)


def large_flower(image: Photo) -> do.Mask:
    """The dahlia in the middle, not the one below."""
    petals = do.of_hue(image, (0, 48), saturation=0.18, brightness=0.3)
    return do.softened(do.cleaned(petals, 7) * do.oval(image, (132, 62, 360, 292)), 1.2)


def with_flower(at: Place) -> Operation:
    """The dahlia cut out and laid down, with a soft shadow."""

    def add(image: Photo) -> Photo:
        piece, mask = _flower()
        warm = do.picture(do.pixels(piece) * np.array((0.95, 0.86, 0.72)))
        left, top, side = *at, _FLOWER_SIDE
        shadow = (left + 4, top + side * 0.35, left + side + 8, top + side + 7)
        return do.pasted(do.shadowed(image, shadow, 0.55, 5), warm, mask, at)

    return add


def with_square_flower(image: Photo) -> Photo:
    """The dahlia with what was behind it."""
    piece, _ = _flower()
    return do.pasted(image, piece, do.everywhere(piece), UPPER_LEFT)


def with_flower_and_purple_crockery(image: Photo) -> Photo:
    """The dahlia, and another colour that nobody asked for."""
    return with_flower(UPPER_LEFT)(in_hue(PURPLE, crockery, 0.85)(image))


def without_coin(box: do.Box) -> Operation:
    """The ground in place of a coin."""
    return lambda image: do.filled(image, box, seed=4)


def coin_under_a_disc(image: Photo) -> Photo:
    """A white disc on the large coin."""
    return do.blend(image, Image.new("RGB", image.size, (235, 235, 235)), do.oval(image, LARGE_COIN))


def words(text: str, height: float = 46, at: tuple[float, float] = (256, 404)) -> Operation:
    """White letters around a point."""
    return lambda image: do.lettered(image, text, at, height, (250, 250, 250))


def brick_faces(image: Photo) -> do.Mask:
    """The bricks, darker than the mortar between them."""
    _, _, value = do.hsv(image.filter(ImageFilter.GaussianBlur(1.5)))
    return do.softened(do.cleaned((value < 0.44).astype(float), 3), 1.0)


def _flower() -> tuple[Photo, do.Mask]:
    """The dahlia in a square and its mask."""
    box, small = (134, 62, 360, 288), (_FLOWER_SIDE, _FLOWER_SIDE)
    flower = photograph("flower")
    mask = do.picture(np.repeat(large_flower(flower)[..., None] * 255, 3, axis=2))
    piece, cut = (each.crop(box).resize(small, Image.Resampling.LANCZOS) for each in (flower, mask))
    return piece, do.pixels(cut)[..., 0] / 255
