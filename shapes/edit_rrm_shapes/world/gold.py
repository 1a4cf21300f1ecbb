"""The truth about an edit, from the scene graphs: principles, verdicts with evidence, score and utility.

Evidence puts what is seen in the edited image first and what is asked second, attribute by attribute,
each pair with its outcome in a word: a small transformer learns that comparison, and seeing comes
before the copy that would tempt it (docs/shapes.md, The model).
"""

from dataclasses import dataclass

from edit_rrm.principles import Category
from edit_rrm_shapes.world.edits import Edit, EditKind, Request
from edit_rrm_shapes.world.scene import CELLS, TONE_THRESHOLD, Scene, Thing, cell_distance

NOISE_THRESHOLD = 10.0
BLUR_THRESHOLD = 0.8
EMPTY = "empty"
SLIGHT_TONE = "slight"


@dataclass(frozen=True)
class Check:
    """A principle with the facts it asks for: `asked` holds (attribute, value) pairs.

    Attributes: colour, shape, fill and presence of the thing in `cell`; count, background, tone,
    treatment and margin of the picture.
    """

    category: Category
    question: str
    asked: tuple[tuple[str, str], ...]
    cell: int = -1

    @property
    def label(self) -> str:
        """What the evidence line is about."""
        return CELLS[self.cell] if self.cell >= 0 else self.asked[0][0]


@dataclass(frozen=True)
class Finding:
    """The gold verdict on one check."""

    met: bool
    evidence: str


def _thing_check(category: Category, question: str, cell: int, **asked: str) -> Check:
    return Check(category, question, tuple(asked.items()), cell)


def _follow(edit: Edit, count_after: int) -> list[Check]:
    follow = Category.FOLLOW
    if edit.kind is EditKind.ADD and edit.added is not None:
        thing, cell = edit.added, CELLS[edit.cell]
        return [
            _thing_check(
                follow,
                f"Is there a {thing.colour} {thing.shape} at the {cell}?",
                edit.cell,
                colour=thing.colour,
                shape=thing.shape,
            ),
            Check(follow, f"Are there exactly {count_after} objects?", (("objects", str(count_after)),)),
        ]
    if edit.kind is EditKind.BACKGROUND:
        return [Check(follow, f"Is the whole background {edit.value}?", (("background", edit.value),))]
    if edit.kind is EditKind.TONE:
        return [Check(follow, f"Is the image clearly {edit.value}?", (("tone", edit.value),))]
    if edit.target is None:
        raise ValueError(f"{edit.kind} needs a target")
    thing, cell = edit.target, CELLS[edit.target.cell]
    if edit.kind is EditKind.RECOLOUR:
        return [
            _thing_check(
                follow, f"Is the {thing.shape} at the {cell} now {edit.value}?", thing.cell, colour=edit.value
            )
        ]
    if edit.kind is EditKind.REPLACE:
        return [
            _thing_check(
                follow, f"Is the object at the {cell} now a {edit.value}?", thing.cell, shape=edit.value
            )
        ]
    if edit.kind is EditKind.MATERIAL:
        return [
            _thing_check(
                follow, f"Is the {thing.shape} at the {cell} now {edit.value}?", thing.cell, fill=edit.value
            )
        ]
    gone = _thing_check(
        follow, f"Is the {thing.colour} {thing.shape} gone from the {cell}?", thing.cell, presence=EMPTY
    )
    if edit.kind is EditKind.MOVE:
        arrived = _thing_check(
            follow,
            f"Is there a {thing.colour} {thing.shape} at the {CELLS[edit.cell]}?",
            edit.cell,
            colour=thing.colour,
            shape=thing.shape,
        )
        return [arrived, gone]
    return [
        gone,
        Check(follow, f"Are there exactly {count_after} objects?", (("objects", str(count_after)),)),
    ]


def _keep(source: Scene, request: Request) -> list[Check]:
    keep = Category.KEEP
    kinds = {edit.kind for edit in request.edits}
    checks = []
    for edit in request.edits:
        thing = edit.target
        if thing is None:
            continue
        cell = CELLS[thing.cell]
        if edit.kind is EditKind.RECOLOUR:
            checks.append(
                _thing_check(
                    keep, f"Is the object at the {cell} still a {thing.shape}?", thing.cell, shape=thing.shape
                )
            )
        elif edit.kind is EditKind.REPLACE:
            checks.append(
                _thing_check(
                    keep,
                    f"Is the object at the {cell} still {thing.colour}?",
                    thing.cell,
                    colour=thing.colour,
                )
            )
        elif edit.kind is EditKind.MATERIAL:
            checks.append(
                _thing_check(
                    keep,
                    f"Is the object at the {cell} still a {thing.colour} {thing.shape}?",
                    thing.cell,
                    colour=thing.colour,
                    shape=thing.shape,
                )
            )
    targets = {edit.target.cell for edit in request.edits if edit.target}
    for thing in source.things:
        if thing.cell in targets:
            continue
        cell = CELLS[thing.cell]
        if EditKind.TONE in kinds:  # the colour words of a toned picture would be a matter of taste
            checks.append(
                _thing_check(
                    keep, f"Is there still a {thing.shape} at the {cell}?", thing.cell, shape=thing.shape
                )
            )
        else:
            checks.append(
                _thing_check(
                    keep,
                    f"Is the {thing.colour} {thing.shape} at the {cell} unchanged?",
                    thing.cell,
                    colour=thing.colour,
                    shape=thing.shape,
                )
            )
    if not kinds & {EditKind.BACKGROUND, EditKind.TONE}:
        checks.append(
            Check(keep, f"Is the background still {source.background}?", (("background", source.background),))
        )
    return checks


def checks_of(source: Scene, request: Request) -> tuple[Check, ...]:
    """The principle set P of (source, instruction): follow, keep, quality. It never sees a candidate."""
    count = len(source.things)
    count += sum({EditKind.ADD: 1, EditKind.REMOVE: -1}.get(edit.kind, 0) for edit in request.edits)
    follow = {check.question: check for edit in request.edits for check in _follow(edit, count)}
    quality = [
        Check(Category.QUALITY, "Is the image free of noise and blur?", (("noise and blur", "none"),)),
        Check(
            Category.QUALITY, "Is the image free of a frame and a colour cast?", (("frame and cast", "none"),)
        ),
    ]
    return (*follow.values(), *_keep(source, request), *quality)


def treatment(scene: Scene) -> str:
    """`noise`, `blur` or `none`."""
    if scene.noise > NOISE_THRESHOLD:
        return "noise"
    return "blur" if scene.blur > BLUR_THRESHOLD else "none"


def margin(scene: Scene) -> str:
    """`frame`, `cast` or `none`."""
    if scene.frame:
        return "frame"
    return "cast" if scene.cast else "none"


def seen_tone(scene: Scene) -> str:
    """The tone a person would name: `slight` below the threshold of significance."""
    if scene.tone == "normal":
        return "normal"
    return scene.tone if scene.tone_strength >= TONE_THRESHOLD else SLIGHT_TONE


def _seen(attribute: str, scene: Scene) -> str:
    if attribute == "objects":
        return str(len(scene.things))
    if attribute == "background":
        return "mixed" if scene.lower_background else scene.background
    if attribute == "tone":
        return seen_tone(scene)
    return treatment(scene) if attribute == "noise and blur" else margin(scene)


def pair(seen: str, asked: str) -> str:
    """One comparison as evidence spells it."""
    return f"{seen}/{asked} {'same' if seen == asked else 'differs'}"


def compare_thing(thing: Thing | None, asked: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """(seen, asked) pairs of one cell; an empty cell yields one pair only."""
    if asked[0][0] == "presence":
        return [(thing.shape if thing else EMPTY, EMPTY)]
    if thing is None:
        return [(EMPTY, asked[0][1])]
    return [(str(getattr(thing, attribute)), value) for attribute, value in asked]


def readings(check: Check, candidate: Scene) -> list[tuple[str, str]]:
    """What a check sees in a candidate beside what it asks: (seen, asked) pairs."""
    if check.cell >= 0:
        return compare_thing(candidate.at(check.cell), check.asked)
    return [(_seen(attribute, candidate), value) for attribute, value in check.asked]


def find(check: Check, candidate: Scene) -> Finding:
    """The gold verdict and evidence of one check on a candidate."""
    return finding_of(check, readings(check, candidate))


def finding_of(check: Check, pairs: list[tuple[str, str]]) -> Finding:
    """The verdict and evidence that follow from (seen, asked) pairs, however they came about."""
    evidence = f"{check.label}: " + ", ".join(pair(seen, asked) for seen, asked in pairs)
    return Finding(all(seen == asked for seen, asked in pairs), evidence)


def _graph(scene: Scene) -> tuple[object, ...]:
    """What the scene shows, jitter and treatment aside."""
    things = sorted((t.cell, t.shape, t.colour, t.fill) for t in scene.things)
    return (things, scene.background, scene.lower_background, scene.tone)


def is_no_edit(source: Scene, candidate: Scene) -> bool:
    """True when nothing that the instruction could have asked for has changed."""
    return _graph(source) == _graph(candidate)


def score_of(source: Scene, candidate: Scene, checks: tuple[Check, ...], findings: list[Finding]) -> float:
    """The gold score τ: 0 for a candidate in which nothing happened, else `score_by_rule`."""
    if is_no_edit(source, candidate):
        return 0.0
    return score_by_rule(checks, [finding.met for finding in findings])


def score_by_rule(checks: tuple[Check, ...], met: list[bool]) -> float:
    """A score, 0 to 10, one decimal, from verdicts alone.

    10 · (0.1 + 0.9 f) · 0.7^k · 0.8^q with f the share of follow verdicts met (the core of the
    instruction comes first), k and q the number of keep and quality verdicts not met (a change nobody
    asked for costs more than a flaw of quality).
    """
    verdicts = [(check.category, verdict) for check, verdict in zip(checks, met, strict=True)]
    follow = [met for category, met in verdicts if category is Category.FOLLOW]
    damaged = sum(not met for category, met in verdicts if category is Category.KEEP)
    flawed = sum(not met for category, met in verdicts if category is Category.QUALITY)
    return round(10 * (0.1 + 0.9 * sum(follow) / len(follow)) * 0.7**damaged * 0.8**flawed, 1)


def _completion(source: Scene, candidate: Scene, edit: Edit) -> float:
    """How far one edit was carried out, 0 to 1, finer than its verdicts."""
    if edit.kind is EditKind.ADD and edit.added is not None:
        thing = candidate.at(edit.cell)
        if thing is None or source.at(edit.cell) is not None:
            return 0.0
        return 0.2 + 0.4 * (thing.shape == edit.added.shape) + 0.4 * (thing.colour == edit.added.colour)
    if edit.kind is EditKind.BACKGROUND:
        if candidate.background != edit.value:
            return 0.1 if candidate.background != source.background else 0.0
        return 0.4 if candidate.lower_background else 1.0
    if edit.kind is EditKind.TONE:
        if candidate.tone != edit.value:
            return 0.0
        strength = candidate.tone_strength
        return 0.2 + 0.8 * strength if strength >= TONE_THRESHOLD else strength
    if edit.target is None:
        raise ValueError(f"{edit.kind} needs a target")
    there = candidate.at(edit.target.cell)
    if edit.kind is EditKind.REMOVE:
        return 1.0 if there is None else 0.0
    if edit.kind is EditKind.MOVE:
        moved = candidate.at(edit.cell)
        arrived = moved is not None and (moved.shape, moved.colour) == (edit.target.shape, edit.target.colour)
        if arrived:
            return 1.0 if there is None else 0.5
        reached = [
            thing
            for thing in candidate.things
            if (thing.shape, thing.colour) == (edit.target.shape, edit.target.colour)
        ]
        if there is None and reached:
            return 0.5 * (1 - min(cell_distance(thing.cell, edit.cell) for thing in reached) / 2)
        return 0.0
    if there is None:
        return 0.0
    attribute = {EditKind.RECOLOUR: "colour", EditKind.REPLACE: "shape", EditKind.MATERIAL: "fill"}[edit.kind]
    if getattr(there, attribute) == edit.value:
        return 1.0
    return 0.1 if getattr(there, attribute) != getattr(edit.target, attribute) else 0.0


def _harm(thing: Thing, candidate: Scene) -> float:
    """How badly a thing nobody mentioned was treated, 0 to 1; a large thing is missed more."""
    there = candidate.at(thing.cell)
    weight = 0.4 + 1.2 * (thing.radius - 9) / 4
    if there is None:
        elsewhere = any((t.shape, t.colour) == (thing.shape, thing.colour) for t in candidate.things)
        return (0.22 if elsewhere else 0.45) * weight
    return min(0.45, 0.25 * (there.colour != thing.colour) + 0.30 * (there.shape != thing.shape)) * weight


def utility_of(source: Scene, candidate: Scene, request: Request) -> float:
    """Utility, 0 to 10: the score's rule with magnitudes in place of verdicts.

    How far each edit went, how large each harm is, how strong each flaw of quality. It knows what the
    verdicts do not; preference pairs are drawn from it.
    """
    if is_no_edit(source, candidate):
        return 0.0
    done = sum(_completion(source, candidate, edit) for edit in request.edits) / len(request.edits)
    value = 10 * (0.1 + 0.9 * done)
    targets = {edit.target.cell for edit in request.edits if edit.target}
    for thing in source.things:
        if thing.cell not in targets:
            value *= 1 - _harm(thing, candidate)
    for edit in request.edits:
        there = candidate.at(edit.target.cell) if edit.target else None
        if edit.kind in (EditKind.RECOLOUR, EditKind.MATERIAL) and edit.target:
            value *= 1.0 if there is not None and there.shape == edit.target.shape else 0.7
        elif edit.kind is EditKind.REPLACE and edit.target:
            value *= 1.0 if there is not None and there.colour == edit.target.colour else 0.75
    kinds = {edit.kind for edit in request.edits}
    if EditKind.BACKGROUND not in kinds and candidate.background != source.background:
        value *= 0.65
    if candidate.noise > NOISE_THRESHOLD:
        value *= 1 - 0.70 * (candidate.noise - NOISE_THRESHOLD) / 30
    if candidate.blur > BLUR_THRESHOLD:
        value *= 1 - 0.70 * (candidate.blur - BLUR_THRESHOLD) / 1.8
    if candidate.frame:
        value *= 1 - 0.08 * candidate.frame
    if candidate.cast:
        value *= 1 - 0.70 * (candidate.cast_strength - 0.4) / 0.6
    return round(value, 3)
