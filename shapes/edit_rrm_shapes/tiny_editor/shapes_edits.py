"""Edits as `edit-rrm-shapes generate` writes them (docs/shapes.md), and batches of them by step.

What a step sees follows from seed and step alone, so that a run can go on where it was killed. This reads
files; it knows nothing of how they are made.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel, Field, ValidationError

from edit_rrm_shapes.errors import EditsError

NAME = "edits.jsonl"


class CandidateRow(BaseModel):
    """What is used of a candidate."""

    image: str
    score: float = Field(ge=0, le=10)


class EditRow(BaseModel):
    """What is used of an edit; other fields of the row are passed over."""

    id: str
    instruction: str = Field(min_length=1)
    source: str
    candidates: list[CandidateRow] = Field(default=[])


@dataclass(frozen=True)
class ShapesEdit:
    """An edit with the places of its pictures."""

    id: str
    instruction: str
    source: Path
    targets: tuple[Path, ...]
    scores: tuple[float, ...]
    """Gold scores of the targets, 0 to 10."""

    def pictures(self) -> tuple[Image.Image, ...]:
        """The source, alone. Raises EditsError."""
        return (open_picture(self.source),)

    def best_target(self) -> tuple[Image.Image, ...]:
        """The candidate with the best gold score, if there is one."""
        return (open_picture(self.targets[self.scores.index(max(self.scores))]),) if self.scores else ()


def read_edits(directories: Sequence[Path]) -> list[ShapesEdit]:
    """All edits of the folders, in order. Raises EditsError."""
    edits: list[ShapesEdit] = []
    for directory in directories:
        path = directory / NAME
        if not path.is_file():
            raise EditsError(
                f"{path} is missing: write the folder with "
                f"`edit-rrm-shapes generate --seed 1 --count 1000 --out {directory}`"
            )
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = EditRow.model_validate_json(line)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                field = ".".join(str(part) for part in first["loc"])
                raise EditsError(f"{path}, row {number}, field {field!r}: {first['msg']}") from error
            edits.append(
                ShapesEdit(
                    row.id, row.instruction, directory / row.source,
                    tuple(directory / each.image for each in row.candidates),
                    tuple(each.score for each in row.candidates),
                )
            )  # fmt: skip
    if not edits:
        raise EditsError(f"no edits in {', '.join(str(each) for each in directories)}")
    return edits


@dataclass(frozen=True)
class Example:
    """One source with the picture that is to be made of it."""

    instruction: str
    source: Path
    target: Path


class ShapesExamples:
    """Every candidate of every edit, drawn by its score; of some the source itself is the target."""

    def __init__(self, edits: Sequence[ShapesEdit], temperature: float, undone_share: float = 0.0) -> None:
        self._undone_share = undone_share
        self._examples = [
            Example(edit.instruction, edit.source, target) for edit in edits for target in edit.targets
        ]
        if not self._examples:
            raise EditsError("the edits have no candidates to learn from: generate with --candidates 4")
        scores = [score for edit in edits for score in edit.scores]
        self._bounds = np.cumsum(target_weights(scores, temperature))

    def batch(self, seed: int, step: int, size: int) -> list[Example]:
        """The examples of a step, drawn with replacement."""
        rng = np.random.default_rng([seed, step])
        places = np.searchsorted(self._bounds, rng.random(size) * self._bounds[-1], side="right")
        drawn = [self._examples[min(int(place), len(self._examples) - 1)] for place in places]
        undone = rng.random(size) < self._undone_share
        return [
            replace(each, target=each.source) if left else each
            for each, left in zip(drawn, undone, strict=True)
        ]


def digest_of(edits: Sequence[ShapesEdit]) -> str:
    """Of everything a run draws from but the pictures' bytes; wherever the folders lie."""
    digest = hashlib.sha256()
    for edit in edits:
        names = [path.name for path in (edit.source, *edit.targets)]
        digest.update(json.dumps([edit.id, edit.instruction, names, edit.scores]).encode())
    return digest.hexdigest()


def target_weights(scores: Sequence[float], temperature: float) -> list[float]:
    """exp((score − 10) / temperature) for each."""
    return [math.exp((score - 10.0) / temperature) for score in scores]


def open_picture(path: Path) -> Image.Image:
    """An RGB picture. Raises EditsError."""
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except OSError as error:
        raise EditsError(f"{path} cannot be read as a picture: {error}") from error
