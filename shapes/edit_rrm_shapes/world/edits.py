"""Edits: what an instruction asks, how it is worded, and the scene it should lead to.

Kinds are named after the GEdit categories they stand for (docs/paper.md, Edit categories).
"""

import random
from dataclasses import dataclass, replace
from enum import StrEnum

from edit_rrm_shapes.world.scene import (
    BACKGROUNDS,
    CELLS,
    COLOURS,
    FILLS,
    SHAPES,
    TONES,
    Scene,
    Thing,
    cell_distance,
    other_than,
    place,
)


class EditKind(StrEnum):
    """The eight kinds of edit."""

    RECOLOUR = "colour alteration"
    REMOVE = "subject removal"
    ADD = "subject addition"
    REPLACE = "subject replacement"
    MOVE = "motion change"
    BACKGROUND = "background change"
    MATERIAL = "material modification"
    TONE = "tone transformation"


@dataclass(frozen=True)
class Edit:
    """One step of an instruction. `target` is the source's thing it names; `value` is what is asked of it:
    a colour, shape, fill, background or tone; for ADD `added` and for MOVE `cell` say it instead."""

    kind: EditKind
    target: Thing | None = None
    value: str = ""
    cell: int = -1
    added: Thing | None = None


@dataclass(frozen=True)
class Request:
    """An instruction: one or two edits, and their wording."""

    edits: tuple[Edit, ...]
    instruction: str

    @property
    def category(self) -> str:
        """The kind of the first edit, with a mark when there are two."""
        return self.edits[0].kind.value


_TEMPLATES: dict[EditKind, tuple[str, ...]] = {
    EditKind.RECOLOUR: (
        "make the {thing} {value}",
        "change the colour of the {thing} to {value}",
        "turn the {thing} {value}",
        "paint the {thing} {value}",
        "recolour the {thing} in {value}",
    ),
    EditKind.REMOVE: (
        "remove the {thing}",
        "delete the {thing}",
        "take away the {thing}",
        "erase the {thing}",
    ),
    EditKind.ADD: (
        "add a {thing} at the {cell}",
        "put a {thing} at the {cell}",
        "draw a {thing} in the {cell} area",
        "place a new {thing} at the {cell}",
    ),
    EditKind.REPLACE: (
        "replace the {thing} with a {value}",
        "turn the {thing} into a {value}",
        "swap the {thing} for a {value}",
        "change the {thing} to a {value}",
    ),
    EditKind.MOVE: (
        "move the {thing} to the {cell}",
        "shift the {thing} to the {cell}",
        "bring the {thing} to the {cell}",
        "put the {thing} at the {cell} instead",
    ),
    EditKind.BACKGROUND: (
        "make the background {value}",
        "change the background to {value}",
        "use a {value} background",
        "turn the background {value}",
    ),
    EditKind.MATERIAL: (
        "make the {thing} {value}",
        "give the {thing} a {value} fill",
        "change the fill of the {thing} to {value}",
        "fill the {thing} in a {value} way",
    ),
    EditKind.TONE: (
        "make the whole image {value}",
        "make the picture {value}",
        "give the image a {value} tone",
        "edit the photo to look {value}",
    ),
}


def _propose(rng: random.Random, kind: EditKind, scene: Scene, target: Thing) -> Edit | None:
    """An edit of that kind, or None where the scene does not allow it."""
    if kind is EditKind.RECOLOUR:
        return Edit(kind, target, other_than(rng, COLOURS, target.colour))
    if kind is EditKind.REMOVE:
        return Edit(kind, target)
    if kind is EditKind.ADD:
        shape, colour = rng.choice(SHAPES), rng.choice(list(COLOURS))
        if any((t.shape, t.colour) == (shape, colour) for t in scene.things):
            return None
        cell = rng.choice(scene.free_cells())
        return Edit(kind, cell=cell, added=place(rng, shape, colour, "solid", cell))
    if kind is EditKind.REPLACE:
        return Edit(kind, target, other_than(rng, SHAPES, target.shape))
    if kind is EditKind.MOVE:
        far = [cell for cell in scene.free_cells() if cell_distance(cell, target.cell) == 2]
        return Edit(kind, target, cell=rng.choice(far)) if far else None
    if kind is EditKind.BACKGROUND:
        return Edit(kind, value=other_than(rng, BACKGROUNDS, scene.background))
    if kind is EditKind.MATERIAL:
        return Edit(kind, target, other_than(rng, FILLS, target.fill))
    return Edit(kind, value=rng.choice(TONES))


def _word(rng: random.Random, edit: Edit) -> str:
    thing = edit.added or edit.target
    name = f"{thing.colour} {thing.shape}" if thing else ""
    if edit.target and rng.random() < 0.2:
        name += f" at the {CELLS[edit.target.cell]}"
    cell = CELLS[edit.cell] if edit.cell >= 0 else ""
    return rng.choice(_TEMPLATES[edit.kind]).format(thing=name, value=edit.value, cell=cell)


_GLOBAL = {EditKind.BACKGROUND, EditKind.TONE}


def random_request(rng: random.Random, scene: Scene, double_share: float = 0.2) -> Request:
    """One edit, or with `double_share` two on different things, worded by a random template each."""
    while True:
        kinds = rng.sample(list(EditKind), 2 if rng.random() < double_share else 1)
        targets = rng.sample(scene.things, len(kinds))
        edits = [_propose(rng, kind, scene, target) for kind, target in zip(kinds, targets, strict=True)]
        if any(edit is None for edit in edits):
            continue
        done = [edit for edit in edits if edit is not None]
        cells = [edit.cell for edit in done if edit.cell >= 0]
        # A background under a changed tone, or two things in one cell, would make the truth ambiguous.
        if all(edit.kind in _GLOBAL for edit in done[:2]) and len(done) == 2:
            continue
        if len(set(cells)) != len(cells):
            continue
        return Request(tuple(done), " and ".join(_word(rng, edit) for edit in done))


def substitute(scene: Scene, old: Thing, new: Thing | None) -> Scene:
    """The scene with one thing replaced, or removed where `new` is None."""
    things = [new if thing is old else thing for thing in scene.things]
    return replace(scene, things=tuple(thing for thing in things if thing is not None))


def perform(scene: Scene, edit: Edit, rng: random.Random) -> Scene:
    """The scene with the edit carried out as asked; unchanged where its target is gone or its cell taken."""
    if edit.cell >= 0 and scene.at(edit.cell) is not None:
        return scene
    if edit.kind is EditKind.ADD and edit.added is not None:
        return replace(scene, things=(*scene.things, edit.added))
    if edit.kind is EditKind.BACKGROUND:
        return replace(scene, background=edit.value, lower_background=None)
    if edit.kind is EditKind.TONE:
        return replace(scene, tone=edit.value, tone_strength=rng.uniform(0.5, 1.0))
    thing = scene.at(edit.target.cell) if edit.target else None
    if thing is None:
        return scene
    if edit.kind is EditKind.RECOLOUR:
        return substitute(scene, thing, replace(thing, colour=edit.value))
    if edit.kind is EditKind.REPLACE:
        return substitute(scene, thing, replace(thing, shape=edit.value))
    if edit.kind is EditKind.MATERIAL:
        return substitute(scene, thing, replace(thing, fill=edit.value))
    if edit.kind is EditKind.MOVE:
        return substitute(
            scene, thing, replace(thing, cell=edit.cell, dx=rng.randint(-3, 3), dy=rng.randint(-3, 3))
        )
    return substitute(scene, thing, None)
