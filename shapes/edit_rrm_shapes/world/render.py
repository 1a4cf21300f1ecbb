"""Draws a scene: 96×96 pixels, drawn at three times the size and averaged down."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from edit_rrm_shapes.world.scene import BACKGROUNDS, COLOURS, Scene, Thing

SIZE = 96
_SCALE = 3
_CAST_GAIN = {"green": (0.62, 1.08, 0.62), "blue": (0.62, 0.72, 1.12)}


def centre(thing: Thing) -> tuple[float, float]:
    """The thing's centre (x, y) in pixels."""
    step = SIZE / 3
    return (thing.cell % 3 + 0.5) * step + thing.dx, (thing.cell // 3 + 0.5) * step + thing.dy


def _outline(shape: str, x: float, y: float, r: float) -> list[tuple[float, float]]:
    """The corners of a shape around (x, y)."""
    if shape == "square":
        return [(x - 0.85 * r, y - 0.85 * r), (x + 0.85 * r, y - 0.85 * r),
                (x + 0.85 * r, y + 0.85 * r), (x - 0.85 * r, y + 0.85 * r)]  # fmt: skip
    if shape == "triangle":
        return [(x, y - r), (x + r, y + 0.8 * r), (x - r, y + 0.8 * r)]
    if shape == "diamond":
        return [(x, y - r), (x + 0.75 * r, y), (x, y + r), (x - 0.75 * r, y)]
    if shape == "star":
        radii = (r * 1.1, r * 0.45)
        return [
            (x + radii[k % 2] * math.sin(k * math.pi / 5), y - radii[k % 2] * math.cos(k * math.pi / 5))
            for k in range(10)
        ]
    arm = 0.36 * r
    return [(x - arm, y - r), (x + arm, y - r), (x + arm, y - arm), (x + r, y - arm), (x + r, y + arm),
            (x + arm, y + arm), (x + arm, y + r), (x - arm, y + r), (x - arm, y + arm), (x - r, y + arm),
            (x - r, y - arm), (x - arm, y - arm)]  # fmt: skip


def _draw_thing(canvas: Image.Image, thing: Thing) -> None:
    x, y = (c * _SCALE for c in centre(thing))
    r = thing.radius * _SCALE
    mask = Image.new("L", canvas.size, 0)
    pen = ImageDraw.Draw(mask)
    if thing.shape == "circle":
        pen.ellipse((x - 0.95 * r, y - 0.95 * r, x + 0.95 * r, y + 0.95 * r), fill=255)
    else:
        pen.polygon(_outline(thing.shape, x, y, r), fill=255)
    colour = COLOURS[thing.colour]
    paint = Image.new("RGB", canvas.size, colour)
    if thing.fill != "solid":
        # A lighter pattern on dark colours, a darker one on light colours: the colour stays readable.
        dark = sum(colour) < 200
        pattern = tuple(min(255, c + 130) if dark else int(c * 0.4) for c in colour)
        pen = ImageDraw.Draw(paint)
        step = 5 * _SCALE
        low, high = int(min(x, y) - 2 * r), int(max(x, y) + 2 * r)
        if thing.fill == "striped":
            for offset in range(low, high, step):
                pen.rectangle((x - 2 * r, offset, x + 2 * r, offset + 2 * _SCALE), fill=pattern)
        else:
            dot = 1.4 * _SCALE
            for px in range(int(x - r), int(x + r) + step, step):
                for py in range(int(y - r), int(y + r) + step, step):
                    pen.ellipse((px - dot, py - dot, px + dot, py + dot), fill=pattern)
    canvas.paste(paint, (0, 0), mask)


def toned(pixels: np.ndarray, tone: str, strength: float | np.ndarray) -> np.ndarray:
    """RGB levels [..., 3] under a tone; strengths may be an array that broadcasts against them."""
    if tone == "darker":
        return pixels * (1 - 0.55 * strength)
    if tone == "brighter":
        return pixels + (255 - pixels) * 0.55 * strength
    if tone == "warmer":
        return pixels + np.array([50.0, 8.0, -70.0]) * strength
    return pixels


def cast_gain(cast: str, strength: float | np.ndarray) -> np.ndarray:
    """What a colour cast multiplies RGB levels [..., 3] by; strengths may be an array [..., 1]."""
    return np.asarray(1 + (np.array(_CAST_GAIN[cast]) - 1) * strength)


def render(scene: Scene, noise_seed: int) -> Image.Image:
    """The picture of a scene as an RGB image; `noise_seed` decides the pixel noise only."""
    side = SIZE * _SCALE
    canvas = Image.new("RGB", (side, side), BACKGROUNDS[scene.background])
    if scene.lower_background is not None:
        canvas.paste(BACKGROUNDS[scene.lower_background], (0, side // 2, side, side))
    for thing in scene.things:
        _draw_thing(canvas, thing)
    picture = canvas.reduce(_SCALE)
    if scene.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(scene.blur))
    pixels = toned(np.asarray(picture, dtype=np.float32), scene.tone, scene.tone_strength)
    if scene.cast is not None:
        pixels = pixels * cast_gain(scene.cast, scene.cast_strength)
    if scene.frame:
        width = scene.frame
        framed = np.full_like(pixels, 252)
        framed[width:-width, width:-width] = pixels[width:-width, width:-width]
        pixels = framed
    rng = np.random.default_rng(noise_seed)
    pixels = pixels + rng.normal(0, scene.noise, pixels.shape)
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), "RGB")
