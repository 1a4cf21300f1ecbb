"""Edits of the shapes world as records: every one from (seed, index) alone."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from edit_rrm_shapes.world.editors import EDITORS, run_editor
from edit_rrm_shapes.world.edits import Request, random_request
from edit_rrm_shapes.world.gold import Check, Finding, checks_of, find, score_of, utility_of
from edit_rrm_shapes.world.render import render
from edit_rrm_shapes.world.scene import Scene, random_scene

SAME_ZONE = 0.75
"""Two candidates whose utilities differ by less are labelled "same"."""
ANNOTATOR_NOISE = 0.35
"""Standard deviation of the error with which the simulated annotator sees each utility."""


@dataclass(frozen=True)
class Candidate:
    """One editor's result with the truth about it."""

    editor: str
    scene: Scene
    noise_seed: int
    findings: tuple[Finding, ...]
    score: float
    utility: float

    def picture(self) -> Image.Image:
        """The edited image."""
        return render(self.scene, self.noise_seed)


@dataclass(frozen=True)
class EditRecord:
    """A source, an instruction, its principles as checks, and candidates."""

    id: str
    source: Scene
    noise_seed: int
    request: Request
    checks: tuple[Check, ...]
    candidates: tuple[Candidate, ...]

    def picture(self) -> Image.Image:
        """The source image."""
        return render(self.source, self.noise_seed)


def make_edit(
    seed: int, index: int, candidate_count: int, draw: Callable[[random.Random], Scene] = random_scene
) -> EditRecord:
    """The edit number `index` of world `seed`, its editors in turn from a random start; `draw` its source."""
    rng = random.Random(f"shapes-{seed}-{index}")
    source = draw(rng)
    request = random_request(rng, source)
    checks = checks_of(source, request)
    editors = rng.sample(list(EDITORS), len(EDITORS))
    candidates = []
    for number in range(candidate_count):
        editor = editors[number % len(editors)]
        scene = run_editor(source, request, EDITORS[editor], rng)
        findings = [find(check, scene) for check in checks]
        candidates.append(
            Candidate(
                editor, scene, rng.getrandbits(32), tuple(findings),
                score_of(source, scene, checks, findings), utility_of(source, scene, request),
            )
        )  # fmt: skip
    return EditRecord(f"{seed}-{index}", source, rng.getrandbits(32), request, checks, tuple(candidates))


@dataclass(frozen=True)
class LabelledPair:
    """Two candidates of an edit, by number, as the annotator put them in order."""

    id: str
    edit: str
    preferred: int
    non_preferred: int
    label: Literal["prefer", "same"]


def make_pairs(edit: EditRecord, seed: int) -> Iterator[LabelledPair]:
    """Every pair of candidates as a simulated annotator labels it."""
    rng = random.Random(f"pairs-{seed}-{edit.id}")
    seen = [c.utility + rng.gauss(0, ANNOTATOR_NOISE) for c in edit.candidates]
    for i in range(len(seen)):
        for j in range(i + 1, len(seen)):
            better, worse = (i, j) if seen[i] >= seen[j] else (j, i)
            same = abs(seen[i] - seen[j]) < SAME_ZONE
            yield LabelledPair(f"{edit.id}-{i}-{j}", edit.id, better, worse, "same" if same else "prefer")
