"""Judges an edited picture by the scene the oracle reads in it: the gold's verdicts, score and utility."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from edit_rrm.principles import Category
from edit_rrm_shapes.oracle.reading import Reading, read_scene
from edit_rrm_shapes.world.edits import EditKind, Request
from edit_rrm_shapes.world.gold import (
    SLIGHT_TONE,
    Check,
    Finding,
    checks_of,
    find,
    score_of,
    seen_tone,
    utility_of,
)
from edit_rrm_shapes.world.scene import Scene


@dataclass(frozen=True)
class Judgement:
    """What the gold rules say of one edited picture."""

    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    """One a check."""
    score: float
    utility: float

    @property
    def success(self) -> bool:
        """Everything asked was done and nothing else was changed: every follow and every keep verdict is met.

        Flaws of quality (noise, blur, frame, cast) do not count here; utility counts them.
        """
        return all(
            finding.met
            for check, finding in zip(self.checks, self.findings, strict=True)
            if check.category is not Category.QUALITY
        )


def judge_scene(source: Scene, request: Request, edited: Scene) -> Judgement:
    """The gold judgement of a scene, whether it is the truth about a picture or was read from it."""
    checks = checks_of(source, request)
    findings = [find(check, edited) for check in checks]
    return Judgement(
        checks,
        tuple(findings),
        score_of(source, edited, checks, findings),
        utility_of(source, edited, request),
    )


def _without_colour_error(scene: Scene, request: Request) -> Scene:
    """A slight tone that nobody asked for is an outside editor's colours being a few levels off: no edit."""
    asked = {edit.value for edit in request.edits if edit.kind is EditKind.TONE}
    if seen_tone(scene) == SLIGHT_TONE and scene.tone not in asked:
        return replace(scene, tone="normal", tone_strength=0.0)
    return scene


def judge_reading(source: Scene, request: Request, reading: Reading) -> Judgement:
    """The gold judgement of what the oracle read in a picture."""
    return judge_scene(source, request, _without_colour_error(reading.scene, request))


def judge(source: Scene, request: Request, picture: Image.Image | np.ndarray) -> Judgement:
    """The gold judgement of a picture of 96×96 pixels. Raises PictureError."""
    return judge_reading(source, request, read_scene(picture))
