"""Guards on small procedural scenes and on a synthetic photograph: what must fire, and what must not."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from pydantic import ValidationError

from edit_rrm.guards import GUARD_NAMES, EditGuards, GuardResult, GuardSettings, check_guards, reward_ceiling
from edit_rrm.images import EditImage

COLOURS = {
    "red": (220, 50, 47),
    "green": (60, 160, 60),
    "blue": (50, 90, 210),
    "yellow": (235, 205, 50),
    "purple": (140, 70, 170),
    "white": (245, 245, 245),
    "black": (30, 30, 30),
    "gray": (128, 128, 128),
}
Shape = tuple[str, str, int, int, int]  # kind, colour, left, top, side, in pixels
SCENES: list[tuple[str, list[Shape]]] = [
    ("gray", [("square", "red", 8, 9, 14), ("circle", "blue", 60, 40, 24)]),
    (
        "blue",
        [("circle", "yellow", 40, 38, 14), ("square", "white", 70, 4, 20), ("diamond", "green", 6, 70, 22)],
    ),
    (
        "white",
        [("triangle", "green", 34, 66, 14), ("square", "purple", 2, 2, 24), ("circle", "black", 68, 68, 24)],
    ),
    ("black", [("diamond", "red", 42, 42, 14), ("square", "gray", 0, 0, 20), ("circle", "white", 76, 3, 18)]),
]
SIDE = 96


def scene(
    index: int,
    *,
    shapes: list[Shape] | None = None,
    background: str | None = None,
    frame: tuple[int, tuple[int, int, int]] | None = None,
    gain: float = 1.0,
    std: float = 4.0,
    seed: int = 0,
) -> Image.Image:
    """A 96 x 96 scene with a flat background, antialiased shapes and gaussian noise of `std` of 255."""
    own_background, own_shapes = SCENES[index]
    image = Image.new("RGB", (SIDE * 4, SIDE * 4), COLOURS[background or own_background])
    draw = ImageDraw.Draw(image)
    for kind, colour, x, y, side in own_shapes if shapes is None else shapes:
        box = [v * 4 for v in (x, y, x + side, y + side)]
        middle = ((box[0] + box[2]) // 2, (box[1] + box[3]) // 2)
        if kind == "circle":
            draw.ellipse(box, fill=COLOURS[colour])
        elif kind == "square":
            draw.rectangle(box, fill=COLOURS[colour])
        elif kind == "triangle":
            draw.polygon([(middle[0], box[1]), (box[0], box[3]), (box[2], box[3])], fill=COLOURS[colour])
        else:
            corners = [(middle[0], box[1]), (box[2], middle[1]), (middle[0], box[3]), (box[0], middle[1])]
            draw.polygon(corners, fill=COLOURS[colour])
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)) * gain
    if frame:
        depth, colour_of_frame = frame
        outside = np.ones((SIDE, SIDE), dtype=bool)
        outside[depth:-depth, depth:-depth] = False
        pixels[outside] = colour_of_frame
    return noisy(pixels, std, seed)


def noisy(pixels: np.ndarray | Image.Image, std: float, seed: int) -> Image.Image:
    values = np.asarray(pixels) + np.random.default_rng(seed).normal(0, std, np.asarray(pixels).shape)
    return Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@cache
def photograph(width: int = 1024, height: int = 1024, seed: int = 0) -> Image.Image:
    """Coloured 1/f noise with soft-edged things in it: the spectrum and the edges of a photograph."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(width)[None], np.fft.fftfreq(height)[:, None])
    frequency[0, 0] = 1
    layers = [
        np.fft.ifft2(np.fft.fft2(random.normal(size=(height, width))) / frequency**1.1).real for _ in range(4)
    ]
    pixels = np.stack([layers[0] + 0.4 * layer for layer in layers[1:]], axis=-1)
    image = Image.fromarray(np.clip(pixels / pixels.std() * 50 + 120, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        side = int(random.integers(width // 40, width // 8))
        draw.ellipse((x, y, x + side, y + side), fill=tuple(int(v) for v in random.integers(0, 255, 3)))
    return image.filter(ImageFilter.GaussianBlur(0.8))


def results(
    source: Image.Image, candidate: Image.Image, settings: GuardSettings | None = None
) -> dict[str, GuardResult]:
    pair = EditImage.from_pil(source), EditImage.from_pil(candidate)
    return {result.name: result for result in check_guards(*pair, settings or GuardSettings())}


def fired(source: Image.Image, candidate: Image.Image) -> set[str]:
    return {name for name, result in results(source, candidate).items() if result.triggered}


def resized(factor: float, kernel: Image.Resampling) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize((round(image.width * factor), round(image.height * factor)), kernel)


SAME_CONTENT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "identical": lambda image: image,
    "noise": lambda image: noisy(image, 4, 1),
    "jpeg 95": lambda image: jpeg(image, 95),
    "jpeg 75": lambda image: jpeg(image, 75),
    "twice the size": resized(2, Image.Resampling.BICUBIC),
    "twice the size, nearest": resized(2, Image.Resampling.NEAREST),
    "1.37 times": resized(1.37, Image.Resampling.LANCZOS),
    "0.73 times": resized(0.73, Image.Resampling.BILINEAR),
    "half": resized(0.5, Image.Resampling.BICUBIC),
    "resized, compressed and noisy": lambda image: noisy(
        jpeg(resized(1.2, Image.Resampling.BICUBIC)(image), 80), 3, 2
    ),
}


def test_all_four_guards_report_in_order_with_the_values_documented() -> None:
    image = EditImage.from_pil(scene(0))
    answer = check_guards(image, image)
    assert [result.name for result in answer] == ["no_edit", "blank", "border", "size"]
    assert (answer[0].value, answer[2].value, answer[3].value) == (0.0, 0.0, 0.0)
    assert 0.0 < answer[1].value <= 1.0
    assert [result.triggered for result in answer] == [True, False, False, False]


def test_a_group_s_guards_find_what_each_candidate_s_own_would() -> None:
    source = EditImage.from_pil(scene(0))
    others = [
        scene(0),
        scene(1),
        resized(0.5, Image.Resampling.BICUBIC)(scene(2)),
        scene(0).crop((0, 0, 90, 60)),
    ]
    candidates = [EditImage.from_pil(image) for image in others]
    together = EditGuards(source)
    found = [together.check(candidate) for candidate in candidates]
    assert found == [check_guards(source, candidate) for candidate in candidates]
    assert len({results[0].value for results in found}) == 4


@pytest.mark.parametrize("index", range(len(SCENES)))
@pytest.mark.parametrize("name", SAME_CONTENT)
def test_the_same_scene_is_no_edit(index: int, name: str) -> None:
    image = scene(index, std=2.0)
    assert fired(image, SAME_CONTENT[name](image)) == {"no_edit"}


@pytest.mark.parametrize("name", SAME_CONTENT)
@pytest.mark.parametrize("size", [(1024, 1024), (640, 480)])
def test_the_same_photograph_is_no_edit(size: tuple[int, int], name: str) -> None:
    image = photograph(*size)
    assert fired(image, SAME_CONTENT[name](image)) == {"no_edit"}


@pytest.mark.parametrize("index", range(len(SCENES)))
@pytest.mark.parametrize("std", [2.0, 4.0])
def test_a_scene_rendered_again_with_other_noise_is_no_edit(index: int, std: float) -> None:
    assert fired(scene(index, std=std, seed=1), scene(index, std=std, seed=2)) == {"no_edit"}


@pytest.mark.parametrize("index", range(len(SCENES)))
def test_a_small_object_removed_recoloured_moved_or_added_is_an_edit(index: int) -> None:
    background, shapes = SCENES[index]
    kind, colour, x, y, side = shapes[0]
    assert side == 14
    source = scene(index, seed=1)
    edits = [
        shapes[1:],
        [(kind, colour, x + 10, y, side), *shapes[1:]],
        [*shapes, ("square", "black" if background != "black" else "white", 40, 16, 14)],
    ]
    edits += [[(kind, c, x, y, side), *shapes[1:]] for c in COLOURS if c not in (colour, background)]
    for shapes_after in edits:
        assert fired(source, scene(index, shapes=shapes_after, seed=2)) == set(), shapes_after


@pytest.mark.parametrize("index", range(len(SCENES)))
def test_a_small_object_of_another_shape_is_an_edit(index: int) -> None:
    kind, colour, x, y, side = SCENES[index][1][0]
    other = "triangle" if kind in ("square", "circle") else "square"
    shapes: list[Shape] = [(other, colour, x, y, side), *SCENES[index][1][1:]]
    assert fired(scene(index, seed=1), scene(index, shapes=shapes, seed=2)) == set()


@pytest.mark.parametrize("index", range(len(SCENES)))
@pytest.mark.parametrize("gain", [0.9, 1.1])
def test_a_tenth_more_or_less_brightness_is_for_the_judge_where_it_was_asked_for(
    index: int, gain: float
) -> None:
    pair = [EditImage.from_pil(scene(index, seed=1)), EditImage.from_pil(scene(index, gain=gain, seed=2))]
    found = check_guards(*pair, instruction="make it brighter" if gain > 1 else "把画面调暗")
    assert reward_ceiling(found) is None


@pytest.mark.parametrize("index", range(len(SCENES)))
def test_a_background_change_is_an_edit_and_no_border(index: int) -> None:
    taken = {SCENES[index][0]} | {shape[1] for shape in SCENES[index][1]}
    for background in set(COLOURS) - taken:
        assert fired(scene(index, seed=1), scene(index, background=background, seed=2)) == set(), background


def test_one_object_in_a_large_photograph_is_an_edit() -> None:
    image = photograph()
    for side in (24, 40, 64):
        edited = image.copy()
        ImageDraw.Draw(edited).ellipse((500, 300, 500 + side, 300 + side), fill=(200, 40, 40))
        assert fired(image, edited) == set(), side


def test_a_tone_change_of_a_photograph_is_an_edit() -> None:
    image = photograph(640, 480)
    warmer = Image.fromarray(np.clip(np.asarray(image) + np.array([10, 0, -10]), 0, 255).astype(np.uint8))
    for edited in (
        ImageEnhance.Brightness(image).enhance(0.9),
        ImageEnhance.Brightness(image).enhance(1.1),
        warmer,
        image.convert("L").convert("RGB"),
        image.filter(ImageFilter.GaussianBlur(3)),
    ):
        assert fired(image, edited) == set()


def test_a_texture_of_the_same_mean_is_an_edit() -> None:
    flat = Image.new("RGB", (128, 128), (120, 120, 120))
    ImageDraw.Draw(flat).rectangle((0, 0, 40, 128), fill=(10, 60, 200))
    pixels = np.asarray(flat).copy()
    stripes = np.where(np.arange(64) // 2 % 2, 60, 180).astype(np.uint8)
    pixels[32:96, 60:124] = stripes[None, :, None]
    assert fired(flat, Image.fromarray(pixels)) == set()


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_a_flat_candidate_is_blank_also_with_noise(colour: tuple[int, int, int]) -> None:
    flat = Image.new("RGB", (SIDE, SIDE), colour)
    assert fired(scene(0), flat) == {"blank"}
    assert fired(scene(0), noisy(flat, 4, 3)) == {"blank"}
    assert fired(scene(0), jpeg(flat, 50)) == {"blank"}


def test_one_small_object_is_not_blank() -> None:
    assert not results(scene(0), scene(0, shapes=[("circle", "green", 40, 40, 14)]))["blank"].triggered


@pytest.mark.parametrize("depth", [1, 3, 8, 16])
@pytest.mark.parametrize(
    ("index", "colour"),
    [(index, (255, 140, 200)) for index in range(len(SCENES))]
    + [(index, (255, 255, 255)) for index in (0, 1, 3)]  # white on white and black on black cannot be seen
    + [(index, (0, 0, 0)) for index in (0, 1, 2)],
)
def test_a_frame_around_a_scene_is_a_border_of_its_depth(
    index: int, depth: int, colour: tuple[int, int, int]
) -> None:
    framed = scene(index, frame=(depth, colour), seed=1)
    border = results(scene(index), framed)["border"]
    assert border.triggered
    assert border.value == pytest.approx(depth / SIDE)


@pytest.mark.parametrize("depth", [4, 8, 16])
def test_a_frame_survives_compression_and_resizing(depth: int) -> None:
    framed = scene(1, frame=(depth, (255, 255, 255)), std=2.0)
    assert "border" in fired(scene(1), jpeg(framed, 75))
    assert "border" in fired(scene(1), framed.resize((250, 250), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("colour", [255, 0, 128])
def test_a_frame_around_a_photograph_is_a_border(colour: int) -> None:
    image = photograph(640, 480)
    for depth in (10, 40):
        framed = Image.new("RGB", image.size, (colour,) * 3)
        framed.paste(image.crop((depth, depth, 640 - depth, 480 - depth)), (depth, depth))
        assert "border" in fired(image, noisy(framed, 4, 1)), depth
        shrunk = Image.new("RGB", image.size, (colour,) * 3)
        shrunk.paste(image.resize((640 - 2 * depth, 480 - 2 * depth)), (depth, depth))
        assert "border" in fired(image, shrunk), depth


def test_a_frame_that_the_source_has_is_no_border() -> None:
    white, black = (8, (255, 255, 255)), (8, (0, 0, 0))
    source = scene(0, frame=white)
    assert fired(source, scene(0, frame=white, shapes=SCENES[0][1][1:], seed=1)) == set()
    assert fired(source, scene(0, frame=black, seed=1)) == set()
    assert "border" in fired(
        scene(0, frame=(3, (255, 255, 255))), scene(0, frame=(10, (255, 255, 255)), seed=1)
    )


@pytest.mark.parametrize("index", range(len(SCENES)))
def test_a_scene_left_with_a_single_object_has_no_border(index: int) -> None:
    for shape in SCENES[index][1]:
        assert fired(scene(index), scene(index, shapes=[shape], seed=1)) == set()
    middle: Shape = ("square", "purple" if SCENES[index][0] != "purple" else "red", 36, 36, 24)
    assert fired(scene(index), scene(index, shapes=[middle], seed=1)) == set()


def test_the_margin_around_a_large_object_is_no_border() -> None:
    large, larger = [("square", "purple", 14, 14, 68)], [("square", "purple", 8, 8, 80)]
    source = scene(0, shapes=large, background="green")
    for shapes, background in (
        (large, "white"),
        (larger, "green"),
        (larger, "white"),
        ([("square", "red", 14, 14, 68)], "green"),
    ):
        assert fired(source, scene(0, shapes=shapes, background=background, seed=1)) == set(), (
            shapes,
            background,
        )
    assert fired(scene(0), scene(0, shapes=larger, seed=1)) == set()


@pytest.mark.parametrize(
    "shape",
    [("square", "purple", 34, 34, 28), ("circle", "purple", 8, 8, 80), ("diamond", "purple", 4, 4, 88)],
)
def test_one_object_on_a_new_background_is_no_frame(shape: Shape) -> None:
    assert fired(scene(0), scene(0, shapes=[shape], background="yellow", seed=1)) == set()


def test_bars_on_two_sides_are_a_border_and_a_vignette_is_none() -> None:
    image = photograph(640, 480)
    for sides in (np.s_[:40], np.s_[-40:]), (np.s_[:, :60], np.s_[:, -60:]), (np.s_[-40:],):
        barred = np.asarray(image).copy()
        for side in sides:
            barred[side] = 0
        assert "border" in fired(image, Image.fromarray(barred))
    x, y = np.meshgrid(np.linspace(-1, 1, 640), np.linspace(-1, 1, 480))
    fading = np.clip(1.3 - 0.9 * (x**2 + y**2), 0, 1)[..., None]
    assert "border" not in fired(image, Image.fromarray((np.asarray(image) * fading).astype(np.uint8)))


@pytest.mark.parametrize(
    ("size", "value", "triggered"),
    [
        ((100, 100), 0.0, False),
        ((105, 100), 0.05, False),
        ((106, 100), 0.06, True),
        ((100, 106), 0.06, True),
        ((50, 100), 1.0, True),
    ],
)
def test_size_is_the_relative_change_of_the_aspect_ratio(
    size: tuple[int, int], value: float, triggered: bool
) -> None:
    result = results(Image.new("RGB", (200, 200)), Image.new("RGB", size))["size"]
    assert result.value == pytest.approx(value)
    assert result.triggered is triggered


def test_another_resolution_of_the_same_aspect_is_no_size_change() -> None:
    assert not results(photograph(640, 480), photograph(640, 480).resize((1280, 960)))["size"].triggered
    assert not results(Image.new("RGB", (1000, 667)), Image.new("RGB", (992, 672)))["size"].triggered


@pytest.mark.parametrize(
    ("names", "ceiling"),
    [((), None), (("no_edit",), 0.0), (("blank", "border"), 0.0), (("border",), 0.5), (("size",), 0.5)],
)
def test_the_ceiling_is_set_by_the_strictest_guard_that_fired(
    names: tuple[str, ...], ceiling: float | None
) -> None:
    assert reward_ceiling([GuardResult(name, True, 0.1, name in names) for name in GUARD_NAMES]) == ceiling


def test_thresholds_are_settings() -> None:
    source, candidate = scene(0), scene(0, gain=1.04, seed=1)
    change = results(source, candidate)["no_edit"].value
    for threshold, fires in ((change + 0.01, True), (change - 0.005, False)):
        found = results(source, candidate, GuardSettings(no_edit_change=threshold))["no_edit"]
        assert found.triggered is fires
    assert not results(source, source, GuardSettings(no_edit_change=0.0))["no_edit"].triggered
    framed = scene(0, frame=(8, (255, 255, 255)))
    assert not results(source, framed, GuardSettings(border_depth=0.1))["border"].triggered
    assert results(source, source.resize((96, 98)), GuardSettings(size_change=0.01))["size"].triggered
    assert results(source, source, GuardSettings(blank_range=1.0))["blank"].triggered


@pytest.mark.parametrize(
    "field", [{"no_edit": 0.1}, {"border_depth": 0.0}, {"working_side": 8}, {"size_change": -1.0}]
)
def test_settings_refuse_what_has_no_meaning(field: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        GuardSettings.model_validate(field)


@given(st.tuples(*[st.integers(1, 40)] * 4), st.integers(0, 2**16))
def test_any_two_images_can_be_compared(sides: tuple[int, int, int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    source, candidate = (
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in (sides[:2], sides[2:])
    )
    values = {name: result.value for name, result in results(source, candidate).items()}
    assert all(0.0 <= values[name] <= 1.0 for name in ("no_edit", "blank", "border"))
    assert values["size"] >= 0.0


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_extreme_shapes_can_be_compared(long: int, short: int) -> None:
    assert results(Image.new("RGB", (long, 1)), Image.new("RGB", (1, short), "red"))["blank"].triggered
