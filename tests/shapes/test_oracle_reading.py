"""The oracle reads scenes back from pixels."""

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from another_hand import as_another_editor_draws
from PIL import Image, ImageFilter

from edit_rrm_shapes.errors import PictureError, ShapesError
from edit_rrm_shapes.oracle import Reading, read_scene
from edit_rrm_shapes.oracle.templates import RADII, REACH, pattern_colours
from edit_rrm_shapes.world.gold import margin, treatment
from edit_rrm_shapes.world.render import SIZE, render
from edit_rrm_shapes.world.scene import BACKGROUNDS, COLOURS, FILLS, SHAPES, Scene, Thing, random_scene

RED_CIRCLE = Thing("circle", "red", "solid", 0, 2, -1, 12)
GREEN_SQUARE = Thing("square", "green", "striped", 4, -3, 3, 9)
WHITE_STAR = Thing("star", "white", "dotted", 8, 0, 1, 11)
SCENE = Scene((RED_CIRCLE, GREEN_SQUARE, WHITE_STAR), "lavender")


def read(scene: Scene) -> Reading:
    return read_scene(render(scene, 7))


@pytest.mark.parametrize("seed", range(12))
def test_a_clean_rendering_is_read_to_the_pixel(seed: int) -> None:
    scene = random_scene(random.Random(seed))
    reading = read(scene)
    assert reading.scene.things == scene.things
    assert reading.scene.background == scene.background
    assert (reading.scene.tone, reading.scene.frame, reading.scene.cast) == ("normal", 0, None)
    assert reading.scene.noise == pytest.approx(3.0, abs=0.2)
    assert reading.scene.blur < 0.1
    assert reading.residual < 1


@pytest.mark.slow
def test_every_shape_colour_and_fill_is_told_from_the_others() -> None:
    for background in BACKGROUNDS:
        for number, colour in enumerate(COLOURS):
            for fill in FILLS:
                thing = Thing(SHAPES[number % len(SHAPES)], colour, fill, 8, 1, -2, 10)
                assert read(Scene((RED_CIRCLE, thing), background)).scene.at(8) == thing


def test_a_picture_without_things_is_read_as_its_background() -> None:
    found = read(Scene((), "beige")).scene
    assert (found.things, found.background, found.tone, found.cast) == ((), "beige", "normal", None)


def test_things_come_in_the_order_of_their_cells() -> None:
    scene = replace(SCENE, things=(WHITE_STAR, RED_CIRCLE, GREEN_SQUARE))
    assert [thing.cell for thing in read(scene).scene.things] == [0, 4, 8]


@pytest.mark.parametrize("noise", [16.0, 28.0, 40.0])
def test_noise_is_measured_and_does_not_hide_the_things(noise: float) -> None:
    found = read(replace(SCENE, noise=noise)).scene
    assert found.noise == pytest.approx(noise, rel=0.05)
    assert [(t.shape, t.colour, t.fill) for t in found.things] == [
        ("circle", "red", "solid"),
        ("square", "green", "striped"),
        ("star", "white", "dotted"),
    ]


@pytest.mark.parametrize("blur", [1.3, 1.9, 2.6])
def test_blur_is_measured_and_does_not_hide_the_things(blur: float) -> None:
    found = read(replace(SCENE, blur=blur)).scene
    assert found.blur == pytest.approx(blur, abs=0.15)
    assert treatment(found) == "blur"
    assert [(t.shape, t.colour, t.fill) for t in found.things] == [
        ("circle", "red", "solid"),
        ("square", "green", "striped"),
        ("star", "white", "dotted"),
    ]


@pytest.mark.parametrize("frame", [3, 5, 7])
@pytest.mark.parametrize("noise", [3.0, 35.0])
def test_a_white_frame_is_measured_to_the_pixel(frame: int, noise: float) -> None:
    found = read(replace(SCENE, frame=frame, noise=noise)).scene
    assert found.frame == frame
    assert [thing.shape for thing in found.things] == ["circle", "square", "star"]


@pytest.mark.parametrize("cast", ["green", "blue"])
@pytest.mark.parametrize("strength", [0.5, 0.9])
def test_a_cast_is_told_from_another_background(cast: str, strength: float) -> None:
    found = read(replace(SCENE, cast=cast, cast_strength=strength)).scene
    assert (found.background, found.cast, found.tone) == ("lavender", cast, "normal")
    assert found.cast_strength == pytest.approx(strength, abs=0.03)
    assert [thing.colour for thing in found.things] == ["red", "green", "white"]


@pytest.mark.parametrize("tone", ["darker", "brighter", "warmer"])
@pytest.mark.parametrize("strength", [0.1, 0.6, 1.0])
def test_a_tone_is_measured_whether_strong_or_slight(tone: str, strength: float) -> None:
    found = read(replace(SCENE, tone=tone, tone_strength=strength)).scene
    assert (found.background, found.tone, found.cast) == ("lavender", tone, None)
    assert found.tone_strength == pytest.approx(strength, abs=0.03)
    assert [thing.colour for thing in found.things] == ["red", "green", "white"]


def test_tone_and_cast_together_are_told_apart() -> None:
    scene = replace(SCENE, tone="darker", tone_strength=0.7, cast="blue", cast_strength=0.8)
    found = read(scene).scene
    assert (found.background, found.tone, found.cast) == ("lavender", "darker", "blue")
    assert found.tone_strength == pytest.approx(0.7, abs=0.05)
    assert found.cast_strength == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("blur", [0.0, 2.0])
def test_half_a_background_is_seen_as_two(blur: float) -> None:
    found = read(replace(SCENE, lower_background="cyan", blur=blur)).scene
    assert (found.background, found.lower_background) == ("lavender", "cyan")
    assert [thing.cell for thing in found.things] == [0, 4, 8]


@pytest.mark.parametrize("seed", range(8))
def test_a_picture_that_is_no_rendering_gives_the_nearest_scene(seed: int) -> None:
    scene = random_scene(random.Random(seed))
    reading = read_scene(as_another_editor_draws(scene, seed))
    assert [(t.cell, t.shape, t.colour, t.fill) for t in reading.scene.things] == [
        (t.cell, t.shape, t.colour, t.fill) for t in scene.things
    ]
    assert reading.scene.background == scene.background
    assert (treatment(reading.scene), margin(reading.scene)) == ("none", "none")


def test_the_residual_tells_a_rendering_from_another_picture() -> None:
    assert read(SCENE).residual < 1
    ramp = np.indices((SIZE, SIZE, 3))[0].astype(np.uint8)
    assert read_scene(ramp).residual > 10


@pytest.mark.parametrize("level", [0, 97, 252, 255])
def test_a_flat_picture_holds_no_things(level: int) -> None:
    assert read_scene(np.full((SIZE, SIZE, 3), level, dtype=np.uint8)).scene.things == ()


def test_nothing_of_96_pixels_raises() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    stripes = (np.indices((SIZE, SIZE, 3)).sum(0) % 2 * 255).astype(np.uint8)
    for picture in (noise, stripes, noise // 2, Image.fromarray(noise).filter(ImageFilter.GaussianBlur(4))):
        assert read_scene(picture).scene.background in BACKGROUNDS


def test_an_array_and_an_image_read_alike() -> None:
    picture = render(SCENE, 3)
    assert read_scene(np.asarray(picture)) == read_scene(picture)


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (95, 96)),
        Image.new("RGB", (512, 512)),
        np.zeros((96, 96), dtype=np.uint8),
        np.zeros((96, 96, 4), dtype=np.uint8),
        np.zeros((96, 96, 3), dtype=np.float32),
    ],
)
def test_another_size_or_kind_is_refused_by_name(picture: Image.Image | np.ndarray) -> None:
    with pytest.raises(PictureError, match="expected 96×96 pixels of 8-bit RGB, got") as caught:
        read_scene(picture)
    assert isinstance(caught.value, ShapesError)


def test_templates_cover_every_size_and_place_of_the_world() -> None:
    rng = random.Random(0)
    things = [thing for _ in range(300) for thing in random_scene(rng).things]
    assert {thing.radius for thing in things} == set(RADII)
    assert {thing.dx for thing in things} | {thing.dy for thing in things} == set(range(-REACH, REACH + 1))


def test_pattern_colours_are_the_renderer_s() -> None:
    patterns = dict(zip(COLOURS, pattern_colours().tolist(), strict=True))
    assert patterns["yellow"] == [97, 88, 14]  # 244, 220, 36 times 0.4
    assert patterns["black"] == [148, 148, 148]  # 18 plus 130


def test_the_oracle_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from edit_rrm_shapes.oracle import accuracy, edited_pictures\n"
        "print(sorted({'torch', 'transformers', 'vllm', 'scipy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
