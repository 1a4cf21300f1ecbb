"""Edits with gold verdicts: what evaluation measures a judge on, whoever made them.

A folder holds `edits.jsonl`, an edit a line: `{"id", "category", "instruction", "source", "principles":
[{"question", "category"}], "candidates": [{"image", "verdicts": [0 | 1, …], "score"?, "utility"?}]}`.
Pictures are references (pictures.py). `score` is the gold score from 0 to 10; `utility` is how good the edit
really is, on any scale that orders candidates.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from edit_rrm.principles import Principle
from edit_rrm.row_ids import RowId
from edit_rrm.wire import MAX_CANDIDATES, Instruction
from edit_rrm_training.data.jsonl import numbered_rows
from edit_rrm_training.data.judged import NumberedPrinciples
from edit_rrm_training.data.pictures import PictureRef, load_picture_of_row
from edit_rrm_training.errors import RowError

FILE = "edits.jsonl"
Picture = Callable[[], Image.Image]
"""Loads or draws a picture when it is wanted: ten thousand edits do not fit into memory."""


@dataclass(frozen=True)
class GoldCandidate:
    """An edited image and the truth about it; `verdicts` are in the order of the principles."""

    picture: Picture
    verdicts: tuple[bool, ...]
    score: float | None = None
    utility: float | None = None


@dataclass(frozen=True)
class GoldEdit:
    """A source image, an instruction, its principles, and candidates."""

    id: str
    category: str
    instruction: str
    source: Picture
    principles: tuple[Principle, ...]
    candidates: tuple[GoldCandidate, ...]


class GoldCandidateRow(BaseModel):
    """A candidate as the file has it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image: PictureRef
    verdicts: tuple[bool, ...]
    score: float | None = Field(default=None, ge=0.0, le=10.0)
    utility: float | None = Field(default=None, allow_inf_nan=False)


class GoldEditRow(BaseModel):
    """A line of `edits.jsonl`; fields that are not needed are let be."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: RowId
    category: str = ""
    instruction: Instruction
    source: PictureRef
    principles: NumberedPrinciples
    candidates: tuple[GoldCandidateRow, ...] = Field(min_length=1, max_length=MAX_CANDIDATES)

    @model_validator(mode="after")
    def _a_verdict_each(self) -> Self:
        for place, candidate in enumerate(self.candidates):
            if len(candidate.verdicts) != len(self.principles):
                raise ValueError(
                    f"candidates.{place}.verdicts: expected one for each of {len(self.principles)} "
                    f"principles, got {len(candidate.verdicts)}"
                )
        return self


def read_gold_edits(folder: Path) -> Iterator[GoldEdit]:
    """The edits of a folder, in their order. Raises FileNotFoundError without `edits.jsonl`.

    Raises RowError, also when a picture is wanted.
    """
    file = folder / FILE
    for number, row in numbered_rows(file, GoldEditRow):
        picture = partial(_picture, file, number, row.id)
        yield GoldEdit(
            row.id, row.category, row.instruction, picture("source", row.source), row.principles,
            tuple(
                GoldCandidate(picture(f"candidates.{place}.image", c.image), c.verdicts, c.score, c.utility)
                for place, c in enumerate(row.candidates)
            ),
        )  # fmt: skip


def check_gold_edits(folder: Path, count: int | None = None) -> int:
    """Reads the first `count` edits with all their pictures, and says how many there are.

    Raises RowError for a row or a picture that cannot be judged, before anything is.
    """
    found = 0
    for edit in islice(read_gold_edits(folder), count):
        for picture in (edit.source, *(candidate.picture for candidate in edit.candidates)):
            picture()
        found += 1
    if not found:
        raise RowError(folder / FILE, 0, "", "holds no edit")
    return found


def _picture(file: Path, row: int, edit: str, field: str, reference: str | bytes) -> Picture:
    return lambda: load_picture_of_row(reference, file, row, field, f"edit {edit!r}")
