"""The shapes world: scenes and pictures."""

import random

import numpy as np
import pytest

from edit_rrm_shapes.world.render import SIZE, centre, render
from edit_rrm_shapes.world.scene import (
    BACKGROUNDS,
    CELLS,
    COLOURS,
    FILLS,
    SHAPES,
    Scene,
    Thing,
    cell_distance,
    random_scene,
)

CENTRE_CELL = CELLS.index("center")


def picture(scene: Scene) -> np.ndarray:
    return np.asarray(render(scene, 0)).astype(int)


def lone(**changes: object) -> Scene:
    fields = {
        "shape": "square",
        "colour": "red",
        "fill": "solid",
        "cell": CENTRE_CELL,
        "dx": 0,
        "dy": 0,
        "radius": 12,
    }
    return Scene((Thing(**(fields | changes)),), "gray")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(20))
def test_scenes_hold_two_to_four_distinct_things_in_distinct_cells(seed: int) -> None:
    scene = random_scene(random.Random(seed))
    assert 2 <= len(scene.things) <= 4
    assert len({t.cell for t in scene.things}) == len(scene.things)
    assert len({(t.colour, t.shape) for t in scene.things}) == len(scene.things)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_solid_thing_has_its_colour_at_its_centre(colour: str) -> None:
    middle = picture(lone(colour=colour))[44:52, 44:52].reshape(-1, 3).mean(0)
    assert np.abs(middle - COLOURS[colour]).max() < 5


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_stays_inside_its_cell_s_neighbourhood(shape: str) -> None:
    scene = lone(shape=shape, radius=13, dx=3, dy=-3)
    x, y = centre(scene.things[0])
    rows, columns = np.nonzero(np.abs(picture(scene) - BACKGROUNDS["gray"]).max(-1) > 40)
    assert len(rows) > 100
    assert np.abs(rows - y).max() <= 16
    assert np.abs(columns - x).max() <= 16


def test_shapes_and_fills_look_different_from_each_other() -> None:
    looks = [picture(lone(shape=s)) for s in SHAPES] + [picture(lone(fill=f)) for f in FILLS[1:]]
    for i, a in enumerate(looks):
        for b in looks[:i]:
            assert (np.abs(a - b).max(-1) > 60).sum() > 20


def test_treatments_do_what_they_say() -> None:
    base = lone()
    plain = picture(base)
    from dataclasses import replace

    assert picture(replace(base, tone="darker", tone_strength=1.0)).mean() < 0.6 * plain.mean()
    assert picture(replace(base, tone="brighter", tone_strength=1.0)).mean() > plain.mean() + 30
    warm = picture(replace(base, tone="warmer", tone_strength=1.0)).reshape(-1, 3).mean(0) - plain.reshape(
        -1, 3
    ).mean(0)
    assert warm[0] > 20 > -20 > warm[2]
    framed = picture(replace(base, frame=5))
    assert framed[:5].mean() > 245
    assert framed[5:7, 5:91].mean() < 200
    assert picture(replace(base, noise=30.0))[:20, :20].std(axis=(0, 1)).mean() > 20
    lower = picture(replace(base, background="pink", lower_background="gray"))
    assert np.abs(lower[2, 2] - BACKGROUNDS["pink"]).max() < 15
    assert np.abs(lower[93, 2] - BACKGROUNDS["gray"]).max() < 15


def test_pictures_are_decided_by_scene_and_seed() -> None:
    scene = random_scene(random.Random(3))
    assert render(scene, 5).tobytes() == render(scene, 5).tobytes()
    assert render(scene, 5).tobytes() != render(scene, 6).tobytes()
    assert render(scene, 5).size == (SIZE, SIZE)


def test_cell_distance_is_the_larger_of_rows_and_columns() -> None:
    assert cell_distance(0, 8) == 2
    assert cell_distance(0, 1) == 1
    assert cell_distance(1, 7) == 2
    assert cell_distance(4, 4) == 0
