"""Measures the oracle against the truth: what it reads in renderings, and how it judges simulated editors."""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from edit_rrm.intervals import Share, share
from edit_rrm.principles import Category
from edit_rrm_shapes.oracle.judging import Judgement, judge_reading
from edit_rrm_shapes.oracle.reading import Reading, read_scene
from edit_rrm_shapes.world.dataset import Candidate, EditRecord, make_edit
from edit_rrm_shapes.world.gold import margin, seen_tone, treatment
from edit_rrm_shapes.world.render import render
from edit_rrm_shapes.world.scene import CASTS, CELLS, TONES, Scene
from edit_rrm_training.evaluation.calibration import spearman
from edit_rrm_training.evaluation.evaluate import share_table

CANDIDATES = 4
"""One of each simulated editor."""
CLEAN = "clean"
THING_ATTRIBUTES = ("shape", "colour", "fill")

VERDICTS = ("verdicts", *(f"{category.value} verdicts" for category in Category))


def outcomes_of(truth: Scene, found: Scene) -> dict[str, list[bool]]:
    """Whether each cell, each thing's attributes and the picture's own were read right.

    A thing that was missed is wrong in all its attributes; the whole scene is right when everything is.
    """
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for cell in range(len(CELLS)):
        there, seen = truth.at(cell), found.at(cell)
        outcomes["presence"].append((there is None) == (seen is None))
        for attribute in THING_ATTRIBUTES if there else ():
            outcomes[attribute].append(
                seen is not None and getattr(seen, attribute) == getattr(there, attribute)
            )
    outcomes["background"] = [
        (truth.background, truth.lower_background) == (found.background, found.lower_background)
    ]
    outcomes["tone"] = [seen_tone(truth) == seen_tone(found)]
    outcomes["noise and blur"] = [treatment(truth) == treatment(found)]
    outcomes["frame and cast"] = [
        (truth.frame, truth.cast, margin(truth)) == (found.frame, found.cast, margin(found))
    ]
    outcomes["whole scene"] = [all(all(right) for right in outcomes.values())]
    return dict(outcomes)


def treated(scene: Scene, rng: random.Random) -> dict[str, Scene]:
    """The scene as it is, and under each treatment at a strength that the simulated editors use."""
    return {
        CLEAN: scene,
        "noise": replace(scene, noise=rng.uniform(16.0, 40.0)),
        "blur": replace(scene, blur=rng.uniform(1.3, 2.6)),
        "frame": replace(scene, frame=rng.randint(3, 7)),
        "cast": replace(scene, cast=rng.choice(CASTS), cast_strength=rng.uniform(0.5, 1.0)),
        "tone": replace(scene, tone=rng.choice(TONES), tone_strength=rng.uniform(0.5, 1.0)),
        "slight tone": replace(scene, tone=rng.choice(TONES), tone_strength=rng.uniform(0.06, 0.14)),
    }


@dataclass(frozen=True)
class Agreement:
    """The oracle's judgements of simulated candidates beside the gold ones."""

    shares: dict[str, Share]
    spearman: float
    mean_error: float
    largest_error: float
    """Of utility, 0 to 10."""

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "shares": {name: value.as_dict() for name, value in self.shares.items()},
            "utility_spearman": round(self.spearman, 4),
            "utility_mean_absolute_error": round(self.mean_error, 4),
            "utility_largest_error": round(self.largest_error, 3),
        }


def agreement_of(judged: Iterable[tuple[Judgement, Judgement]]) -> Agreement:
    """From (gold, oracle's) judgements of the same candidates."""
    judged = list(judged)
    outcomes: dict[str, list[bool]] = {name: [] for name in VERDICTS}
    for gold, found in judged:
        for check, one, other in zip(gold.checks, gold.findings, found.findings, strict=True):
            for name in ("verdicts", f"{check.category.value} verdicts"):
                outcomes[name].append(one.met == other.met)
    outcomes["success"] = [gold.success == found.success for gold, found in judged]
    outcomes["score"] = [gold.score == found.score for gold, found in judged]
    errors = [abs(gold.utility - found.utility) for gold, found in judged]
    return Agreement(
        {name: share(right) for name, right in outcomes.items()},
        spearman([gold.utility for gold, _ in judged], [found.utility for _, found in judged]),
        sum(errors) / len(errors), max(errors),
    )  # fmt: skip


@dataclass(frozen=True)
class OracleAccuracy:
    """Shares read right, by treatment and attribute, and the agreement on candidates."""

    seed: int
    edits: int
    by_treatment: dict[str, dict[str, Share]]
    agreement: Agreement
    ms_per_picture: float

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "seed": self.seed, "edits": self.edits, "ms_per_picture": round(self.ms_per_picture, 1),
            "read_right": {
                treatment: {name: value.as_dict() for name, value in shares.items()}
                for treatment, shares in self.by_treatment.items()
            },
            "agreement": self.agreement.as_dict(),
        }  # fmt: skip

    def markdown(self) -> str:
        """Tables: clean renderings by attribute, treated ones by attribute without intervals, agreement."""
        clean = share_table("clean renderings, read right", self.by_treatment[CLEAN])
        rows = [
            "| read right | " + " | ".join(self.by_treatment) + " |",
            "|---" * (1 + len(self.by_treatment)) + "|",
        ]
        for name in self.by_treatment[CLEAN]:
            values = [f"{shares[name].value:.3f}" for shares in self.by_treatment.values()]
            rows.append(f"| {name} | " + " | ".join(values) + " |")
        rows.append("")
        agreement = self.agreement
        return "\n\n".join([
            clean, "\n".join(rows), share_table("equal to the gold, on candidates", agreement.shares),
            f"Utility read back against gold utility: Spearman's ρ {agreement.spearman:.4f}, "
            f"mean absolute error {agreement.mean_error:.3f}, largest {agreement.largest_error:.2f}. "
            f"{self.ms_per_picture:.0f} ms a picture.",
        ])  # fmt: skip


def _gold(edit: EditRecord, candidate: Candidate) -> Judgement:
    return Judgement(edit.checks, candidate.findings, candidate.score, candidate.utility)


def measure(seed: int, count: int, progress: Callable[[], None] = lambda: None) -> OracleAccuracy:
    """Reads the sources of `count` edits, clean and treated, and judges four candidates of each."""
    outcomes: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    judged, seconds, pictures = [], 0.0, 0

    def timed(picture: Image.Image) -> Reading:
        nonlocal seconds, pictures
        started = time.perf_counter()
        reading = read_scene(picture)
        seconds, pictures = seconds + time.perf_counter() - started, pictures + 1
        return reading

    for index in range(count):
        edit = make_edit(seed, index, CANDIDATES)
        for name, scene in treated(edit.source, random.Random(f"oracle-{seed}-{index}")).items():
            found = timed(render(scene, edit.noise_seed)).scene
            for attribute, right in outcomes_of(scene, found).items():
                outcomes[name][attribute] += right
        for candidate in edit.candidates:
            reading = timed(candidate.picture())
            judged.append((_gold(edit, candidate), judge_reading(edit.source, edit.request, reading)))
        progress()
    return OracleAccuracy(
        seed, count,
        {name: {a: share(right) for a, right in found.items()} for name, found in outcomes.items()},
        agreement_of(judged), 1000 * seconds / pictures,
    )  # fmt: skip
