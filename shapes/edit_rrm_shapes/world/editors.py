"""Simulated editors: they carry out an instruction with flaws of their own, at published rates."""

import random
from dataclasses import dataclass, replace

from edit_rrm_shapes.world.edits import Edit, EditKind, Request, perform, substitute
from edit_rrm_shapes.world.scene import (
    BACKGROUNDS,
    CASTS,
    COLOURS,
    FILLS,
    SHAPES,
    TONES,
    Scene,
    other_than,
)


@dataclass(frozen=True)
class EditorRates:
    """Probabilities of an editor's flaws. The first is per candidate, the next three per edit (what is
    left is a proper edit), then per thing nobody mentioned, for the background, and per candidate."""

    no_edit: float
    wrong_target: float
    wrong_attribute: float
    partial: float
    collateral: float
    background: float
    edited_thing: float
    """Another attribute of the edited thing changes with it."""
    noise_or_blur: float
    frame_or_cast: float


EDITORS: dict[str, EditorRates] = {
    "careful": EditorRates(0.03, 0.05, 0.08, 0.08, 0.15, 0.10, 0.12, 0.15, 0.15),
    "eager": EditorRates(0.00, 0.10, 0.14, 0.06, 0.60, 0.55, 0.55, 0.40, 0.40),
    "lazy": EditorRates(0.22, 0.12, 0.20, 0.42, 0.25, 0.20, 0.25, 0.50, 0.40),
    "sloppy": EditorRates(0.04, 0.22, 0.34, 0.18, 0.70, 0.65, 0.60, 0.70, 0.75),
}


def _wrong_attribute(scene: Scene, edit: Edit, rng: random.Random) -> Scene:
    """The right thing, changed into something that was not asked."""
    if edit.kind is EditKind.ADD and edit.added is not None:
        added = edit.added
        if scene.at(added.cell) is not None:
            return scene
        if rng.random() < 0.5:
            added = replace(added, colour=other_than(rng, COLOURS, added.colour))
        else:
            added = replace(added, shape=other_than(rng, SHAPES, added.shape))
        return replace(scene, things=(*scene.things, added))
    if edit.kind is EditKind.BACKGROUND:
        return replace(scene, background=other_than(rng, BACKGROUNDS, scene.background, edit.value))
    if edit.kind is EditKind.TONE:
        return perform(scene, replace(edit, value=other_than(rng, TONES, edit.value)), rng)
    thing = scene.at(edit.target.cell) if edit.target else None
    if thing is None:
        return scene
    if edit.kind is EditKind.RECOLOUR:
        return substitute(
            scene, thing, replace(thing, colour=other_than(rng, COLOURS, edit.value, thing.colour))
        )
    if edit.kind is EditKind.REPLACE:
        return substitute(
            scene, thing, replace(thing, shape=other_than(rng, SHAPES, edit.value, thing.shape))
        )
    if edit.kind is EditKind.MATERIAL:
        return substitute(scene, thing, replace(thing, fill=other_than(rng, FILLS, edit.value, thing.fill)))
    if edit.kind is EditKind.MOVE:
        cells = [cell for cell in scene.free_cells() if cell != edit.cell]
        return substitute(scene, thing, replace(thing, cell=rng.choice(cells)))
    # Asked to remove, it only changes the thing.
    return substitute(scene, thing, replace(thing, colour=other_than(rng, COLOURS, thing.colour)))


def _partial(scene: Scene, edit: Edit, rng: random.Random) -> Scene:
    """Half the work: half the way, half the background, a tone too weak; elsewhere nothing at all."""
    if edit.kind is EditKind.BACKGROUND:
        return replace(scene, background=edit.value, lower_background=scene.background)
    if edit.kind is EditKind.TONE:
        return replace(scene, tone=edit.value, tone_strength=rng.uniform(0.06, 0.14))
    thing = scene.at(edit.target.cell) if edit.target else None
    if edit.kind is EditKind.MOVE and thing is not None:
        if rng.random() < 0.4:  # a copy appears, the original stays
            if scene.at(edit.cell) is None:
                return replace(scene, things=(*scene.things, replace(thing, cell=edit.cell)))
            return scene
        row = round((thing.cell // 3 + edit.cell // 3) / 2)
        column = round((thing.cell % 3 + edit.cell % 3) / 2)
        halfway = row * 3 + column
        if scene.at(halfway) is None:
            return substitute(scene, thing, replace(thing, cell=halfway))
    return scene


def _wrong_target(scene: Scene, edit: Edit, rng: random.Random, taken: set[int]) -> Scene:
    """The edit, done to a thing nobody mentioned."""
    others = [thing for thing in scene.things if thing.cell not in taken]
    if edit.target is None or not others:
        return _wrong_attribute(scene, edit, rng)
    return perform(scene, replace(edit, target=rng.choice(others)), rng)


def _collateral(scene: Scene, cell: int, rng: random.Random) -> Scene:
    """Another thing recoloured, reshaped, removed or moved."""
    thing = scene.at(cell)
    if thing is None:
        return scene
    flaw = rng.choices(("recolour", "reshape", "remove", "move"), weights=(4, 2, 3, 2))[0]
    if flaw == "recolour":
        return substitute(scene, thing, replace(thing, colour=other_than(rng, COLOURS, thing.colour)))
    if flaw == "reshape":
        return substitute(scene, thing, replace(thing, shape=other_than(rng, SHAPES, thing.shape)))
    if flaw == "move" and scene.free_cells():
        return substitute(scene, thing, replace(thing, cell=rng.choice(scene.free_cells())))
    return substitute(scene, thing, None)


def _edited_thing(scene: Scene, edit: Edit, rng: random.Random) -> Scene:
    """Another attribute of the edited thing changes along with it."""
    thing = scene.at(edit.target.cell) if edit.target else None
    if thing is None:
        return scene
    if edit.kind in (EditKind.RECOLOUR, EditKind.MATERIAL):
        return substitute(scene, thing, replace(thing, shape=other_than(rng, SHAPES, thing.shape)))
    if edit.kind is EditKind.REPLACE:
        return substitute(scene, thing, replace(thing, colour=other_than(rng, COLOURS, thing.colour)))
    return scene


def run_editor(source: Scene, request: Request, rates: EditorRates, rng: random.Random) -> Scene:
    """The candidate's scene."""
    scene = source
    targets = {edit.target.cell for edit in request.edits if edit.target}
    if rng.random() >= rates.no_edit:
        for edit in request.edits:
            how = rng.random()
            if how < rates.wrong_target:
                scene = _wrong_target(scene, edit, rng, targets)
            elif how < rates.wrong_target + rates.wrong_attribute:
                scene = _wrong_attribute(scene, edit, rng)
            elif how < rates.wrong_target + rates.wrong_attribute + rates.partial:
                scene = _partial(scene, edit, rng)
            else:
                scene = perform(scene, edit, rng)
            if rng.random() < rates.edited_thing:
                scene = _edited_thing(scene, edit, rng)
        for thing in source.things:
            if thing.cell not in targets and rng.random() < rates.collateral:
                scene = _collateral(scene, thing.cell, rng)
        kinds = {edit.kind for edit in request.edits}
        if rng.random() < rates.background and not kinds & {EditKind.TONE, EditKind.BACKGROUND}:
            scene = replace(
                scene, background=other_than(rng, BACKGROUNDS, scene.background), lower_background=None
            )
        # Things drawn anew never sit exactly where they sat.
        scene = replace(
            scene,
            things=tuple(replace(t, dx=max(-3, min(3, t.dx + rng.randint(-1, 1)))) for t in scene.things),
        )
    if rng.random() < rates.noise_or_blur:
        if rng.random() < 0.5:
            scene = replace(scene, noise=rng.uniform(16.0, 40.0))
        else:
            scene = replace(scene, blur=rng.uniform(1.3, 2.6))
    if rng.random() < rates.frame_or_cast:
        if rng.random() < 0.5:
            scene = replace(scene, frame=rng.randint(3, 7))
        else:
            scene = replace(scene, cast=rng.choice(CASTS), cast_strength=rng.uniform(0.5, 1.0))
    return scene
