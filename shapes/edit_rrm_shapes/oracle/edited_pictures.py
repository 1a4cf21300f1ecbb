"""Judges an editor's pictures of edits of the shapes world: one PNG an edit, named by the edit's id."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from edit_rrm.errors import ImageError
from edit_rrm.intervals import Share, share
from edit_rrm_shapes.errors import PictureError
from edit_rrm_shapes.oracle.judging import judge_reading
from edit_rrm_shapes.oracle.reading import read_scene
from edit_rrm_shapes.world.dataset import EditRecord, make_edit
from edit_rrm_training.data.jsonl import read_rows
from edit_rrm_training.data.pictures import load_image
from edit_rrm_training.errors import RowError

_ID = re.compile(r"(?P<seed>\d+)-(?P<index>\d+)")


class _EditLine(BaseModel):
    """What is needed of a line of `edits.jsonl`: the truth about its source follows from its id."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    instruction: str


class JudgedPicture(BaseModel):
    """One line of the results: the gold rules on what the oracle read in the picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    category: str
    instruction: str
    success: bool
    score: float
    utility: float
    questions: tuple[str, ...]
    categories: tuple[str, ...]
    verdicts: tuple[int, ...]
    evidence: tuple[str, ...]
    residual: float
    """How little the picture looks like this world, in 8-bit levels (`Reading.residual`)."""


def judge_pictures(edits: Path, pictures: Path) -> Iterator[JudgedPicture]:
    """Judges `pictures/<id>.png` for every line of `edits`.

    Raises RowError, naming the line, for an edit that is none of the shapes world, a picture that is missing,
    cannot be decoded or has another size.
    """
    for number, line in enumerate(read_rows(edits, _EditLine), start=1):
        edit = _edit_of(line, edits, number)
        path = pictures / f"{edit.id}.png"
        try:
            reading = read_scene(load_image(path.name, pictures))
        except FileNotFoundError as error:
            raise RowError(edits, number, "id", f"expected a picture {path}, found none") from error
        except (ImageError, PictureError, OSError) as error:
            raise RowError(edits, number, "id", f"picture {path}: {error}") from error
        judgement = judge_reading(edit.source, edit.request, reading)
        yield JudgedPicture(
            id=edit.id, category=edit.request.category, instruction=edit.request.instruction,
            success=judgement.success, score=judgement.score, utility=judgement.utility,
            questions=tuple(check.question for check in judgement.checks),
            categories=tuple(check.category.value for check in judgement.checks),
            verdicts=tuple(int(finding.met) for finding in judgement.findings),
            evidence=tuple(finding.evidence for finding in judgement.findings),
            residual=reading.residual,
        )  # fmt: skip


def _edit_of(line: _EditLine, edits: Path, number: int) -> EditRecord:
    match = _ID.fullmatch(line.id)
    if match is None:
        raise RowError(
            edits, number, "id", f"expected SEED-INDEX, an edit of the shapes world, got {line.id!r}"
        )
    edit = make_edit(int(match["seed"]), int(match["index"]), 0)
    if edit.request.instruction != line.instruction:
        raise RowError(
            edits, number, "instruction",
            f"edit {line.id} of the shapes world asks {edit.request.instruction!r}, got {line.instruction!r}",
        )  # fmt: skip
    return edit


@dataclass(frozen=True)
class EditorResult:
    """Success and mean utility of some judged pictures."""

    success: Share
    utility: float

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"success": self.success.as_dict(), "utility": round(self.utility, 4)}


def summarise(judged: Sequence[JudgedPicture]) -> dict[str, EditorResult]:
    """Over all pictures, then by category in alphabetical order. `judged` must not be empty."""
    groups = {"all": list(judged)}
    for category in sorted({picture.category for picture in judged}):
        groups[category] = [picture for picture in judged if picture.category == category]
    return {
        name: EditorResult(
            share(picture.success for picture in group),
            sum(picture.utility for picture in group) / len(group),
        )
        for name, group in groups.items()
    }  # fmt: skip


def summary_table(results: dict[str, EditorResult]) -> str:
    """As Markdown, with Wilson's intervals for success."""
    rows = ["| category | success | 95 % interval | mean utility | n |", "|---|---|---|---|---|"]
    for name, result in results.items():
        low, high = result.success.interval
        rows.append(
            f"| {name} | {result.success.value:.3f} | {low:.3f} – {high:.3f} | {result.utility:.2f} "
            f"| {result.success.total} |"
        )
    return "\n".join(rows)
