"""Simulated teachers and a verifier of the shapes world: what each sees of an edit, and what it overlooks.

Each has habits of its own at published rates. Two failings most teachers share, as real VLMs do: they
overlook changes nobody asked for, and let a small magnitude pass. A trace taken at random therefore teaches
the wrong verdict more often than not in just those cases, and one held against the verifier's does not: that
is what the ablation think < think+verify is there to find. A teacher's evidence is what it saw, so its
verdicts follow from its evidence even where both are wrong.

A third failing all share, the verifier too: at the end of a checklist they *count*, and a flaw of quality
weighs what the core of the instruction weighs. Annotators do not prefer so (world/gold.py, utility), and no
selection mends it, for no verdict is wrong: that is what preferences teach (docs/rrm-data.md, The simulated
teachers).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from edit_rrm.principles import Category
from edit_rrm.traces import MAX_SCORE
from edit_rrm_shapes.world.dataset import Candidate, EditRecord
from edit_rrm_shapes.world.gold import (
    Check,
    Finding,
    finding_of,
    is_no_edit,
    readings,
    score_by_rule,
)
from edit_rrm_shapes.world.scene import BACKGROUNDS, COLOURS, FILLS, SHAPES, TONES, Scene, cell_distance

CONFUSED_COLOURS = {
    "red": "orange", "orange": "red", "yellow": "orange", "green": "blue",
    "blue": "purple", "purple": "blue", "white": "yellow", "black": "purple",
}  # fmt: skip
WEAK_NOISE, WEAK_BLUR, WEAK_FRAME, WEAK_CAST = 30.0, 2.1, 5, 0.8
"""Up to these strengths a lenient eye lets a flaw pass."""
_VALUES: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS), "shape": SHAPES, "fill": FILLS, "presence": SHAPES,
    "objects": ("1", "2", "3", "4", "5"), "background": tuple(BACKGROUNDS), "tone": ("slight", *TONES),
    "noise and blur": ("noise", "blur"), "frame and cast": ("frame", "cast"),
}  # fmt: skip


@dataclass(frozen=True)
class Habits:
    """Probabilities of misjudging one verdict, and how a score is given."""

    overlooks_collateral: float = 0.0
    """A keep principle that is not met is seen as met."""
    lenient: float = 0.0
    """A weak flaw, a slight tone, half a background, a thing one cell short of its goal pass."""
    misreads_colour: float = 0.0
    """A thing's colour is taken for its neighbour in `CONFUSED_COLOURS`."""
    doubts: float = 0.0
    """A principle that is met is seen as not met."""
    slips: float = 0.0
    """Either way, times the temperature."""
    notices_no_edit: bool = True
    """Scores a candidate in which nothing happened 0, whatever the verdicts."""
    counts: bool = False
    """Scores by `score_by_count`; else by the gold rule, which puts the core of the instruction first."""
    score_shift: float = 0.0
    score_noise: float = 0.0
    """Standard deviation of the score's error, in points of 10."""


TEACHERS: dict[str, Habits] = {
    "agreeable": Habits(
        0.85, 0.85, 0.00, 0.00, 0.02, notices_no_edit=False, counts=True, score_shift=1.0, score_noise=0.8
    ),
    "lenient": Habits(0.70, 0.90, 0.00, 0.01, 0.02, counts=True, score_shift=0.7, score_noise=0.6),
    "hurried": Habits(0.75, 0.70, 0.03, 0.04, 0.10, counts=True, score_noise=1.2),
    "colour_confused": Habits(0.65, 0.70, 0.25, 0.00, 0.02, counts=True, score_shift=-0.3, score_noise=0.6),
    "strict": Habits(0.05, 0.05, 0.02, 0.08, 0.02, counts=True, score_shift=-0.7, score_noise=0.6),
}
VERIFIER = Habits(overlooks_collateral=0.03, lenient=0.03, doubts=0.01, counts=True, score_noise=0.3)


@dataclass(frozen=True)
class Opinion:
    """What a teacher or the verifier makes of a candidate: a finding a check, and a score of 0 to 10."""

    findings: tuple[Finding, ...]
    score: float


def score_by_count(met: Sequence[bool]) -> float:
    """A score, 0 to 10: the share of verdicts met, every principle counting alike."""
    return MAX_SCORE * sum(met) / len(met)


def _is_weak(check: Check, candidate: Scene) -> bool:
    """Whether a check fails by so little that a lenient eye lets it pass."""
    attribute, asked = check.asked[0]
    if attribute == "noise and blur":
        return candidate.noise <= WEAK_NOISE and candidate.blur <= WEAK_BLUR
    if attribute == "frame and cast":
        return candidate.frame <= WEAK_FRAME and candidate.cast_strength <= WEAK_CAST
    if attribute == "background":
        return check.category is Category.FOLLOW and candidate.background == asked
    if attribute == "tone":
        return candidate.tone == asked
    if check.category is not Category.FOLLOW or len(check.asked) < 2 or candidate.at(check.cell) is not None:
        return False
    wanted = dict(check.asked)
    return any(
        cell_distance(thing.cell, check.cell) == 1
        and (thing.colour, thing.shape) == (wanted["colour"], wanted["shape"])
        for thing in candidate.things
    )


def _as_asked(check: Check) -> list[tuple[str, str]]:
    return [(value, value) for _, value in check.asked]


def _not_as_asked(check: Check, rng: random.Random) -> list[tuple[str, str]]:
    pairs = _as_asked(check)
    place = rng.randrange(len(pairs))
    attribute, asked = check.asked[place]
    pairs[place] = (rng.choice([value for value in _VALUES[attribute] if value != asked]), asked)
    return pairs


def perceive(
    check: Check, candidate: Scene, habits: Habits, temperature: float, rng: random.Random
) -> Finding:
    """What an eye with these habits finds."""
    pairs = readings(check, candidate)
    met = all(seen == asked for seen, asked in pairs)
    if met:
        if rng.random() < habits.doubts + habits.slips * temperature:
            pairs = _not_as_asked(check, rng)
    elif (
        (check.category is Category.KEEP and rng.random() < habits.overlooks_collateral)
        or (rng.random() < habits.lenient and _is_weak(check, candidate))
        or rng.random() < habits.slips * temperature
    ):
        pairs = _as_asked(check)
    if rng.random() < habits.misreads_colour:
        pairs = [
            (CONFUSED_COLOURS.get(seen, seen), asked) if attribute == "colour" else (seen, asked)
            for (seen, asked), (attribute, _) in zip(pairs, check.asked, strict=False)
        ]
    return finding_of(check, pairs)


def judge(
    edit: EditRecord,
    candidate: Candidate,
    checks: tuple[Check, ...],
    habits: Habits,
    temperature: float,
    rng: random.Random,
) -> Opinion:
    """An opinion on a candidate by `checks`, a deterministic function of `rng`'s state."""
    findings = tuple(perceive(check, candidate.scene, habits, temperature, rng) for check in checks)
    if habits.notices_no_edit and is_no_edit(edit.source, candidate.scene):
        return Opinion(findings, 0.0)
    met = [finding.met for finding in findings]
    score = score_by_count(met) if habits.counts else score_by_rule(checks, met)
    score += habits.score_shift + rng.gauss(0.0, habits.score_noise)
    return Opinion(findings, round(min(MAX_SCORE, max(0.0, score)), 1))
