"""SFT rows from what people have: rows with a completion, or with verdicts from which one is written.

A line is `SftRow`'s, where `id`, `task` and the ids of principles may be left out; or, in place of the
completion, `verdicts` (one a principle), `score` (0 to 10) and, if there is any, `evidence` (a line each).
With `candidates` it is an edit with gold verdicts (gold_edits.py). Lines with verdicts give a decomposition,
too: it is the principles they were judged by. Fields that are not needed are let be.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edit_rrm.errors import EditRRMError
from edit_rrm.judges.trained import TrainedProfile, principle_lines
from edit_rrm.row_ids import RowId
from edit_rrm.traces import render_trace
from edit_rrm.wire import Instruction
from edit_rrm_training.data.jsonl import checked_rows
from edit_rrm_training.data.judged import NumberedPrinciples
from edit_rrm_training.data.pictures import PictureRef
from edit_rrm_training.data.score_only import parse_score
from edit_rrm_training.data.sft_rows import NO_EVIDENCE, SftRow, SftTask
from edit_rrm_training.errors import RowError


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class GivenCandidate(_Given):
    """An edited image and what was found about it."""

    image: PictureRef
    verdicts: tuple[bool, ...] = Field(min_length=1)
    evidence: tuple[str, ...] | None = None
    score: float = Field(ge=0.0, le=10.0)


class GivenRow(_Given):
    """See the module."""

    id: RowId | None = None
    task: SftTask | None = None
    instruction: Instruction
    source: PictureRef
    candidate: PictureRef | None = None
    candidates: tuple[GivenCandidate, ...] | None = None
    principles: NumberedPrinciples | None = None
    completion: str | None = None
    verdicts: tuple[bool, ...] | None = None
    evidence: tuple[str, ...] | None = None
    score: float | None = None
    category: str | None = None
    teacher: str | None = None
    selection: str | None = None

    def rows(self, name: str) -> list[SftRow]:
        """The SFT rows of a line; `name` stands for an id that is missing. Raises ValueError."""
        common: dict[str, Any] = {
            "instruction": self.instruction, "source": self.source, "category": self.category,
            "teacher": self.teacher, "selection": self.selection,
        }  # fmt: skip
        name = self.id or name
        if self.completion is not None:
            return [
                SftRow(
                    id=name, task=self.task or self._task(), candidate=self.candidate,
                    principles=self.principles, completion=self.completion, **common,
                )
            ]  # fmt: skip
        if self.principles is None:
            raise ValueError("expected a completion, or principles with verdicts and a score")
        judged = [
            SftRow(
                id=f"verify:{name}-{place}", task="verify", candidate=candidate.image,
                principles=self.principles, completion=self._trace(candidate), **common,
            )
            for place, candidate in enumerate(self._candidates())
        ]  # fmt: skip
        lines = principle_lines([(p.category, p.question) for p in self.principles])
        return [*judged, SftRow(id=f"decompose:{name}", task="decompose", completion=lines, **common)]

    def _task(self) -> SftTask:
        if self.candidate is None:
            return "decompose"
        return "score_only" if self.principles is None else "verify"

    def _candidates(self) -> tuple[GivenCandidate, ...]:
        if self.candidates is not None:
            return self.candidates
        if self.candidate is None and self.verdicts is None:
            return ()  # an edit with its principles alone
        one = {"image": self.candidate, "verdicts": self.verdicts, "score": self.score}
        if missing := [name for name, value in one.items() if value is None]:
            raise ValueError(f"a row without a completion needs {', '.join(missing)}")
        return (GivenCandidate.model_validate({**one, "evidence": self.evidence}),)

    def _trace(self, candidate: GivenCandidate) -> str:
        count = len(self.principles or ())
        evidence = candidate.evidence or (NO_EVIDENCE,) * count
        for what, found in (("verdicts", candidate.verdicts), ("evidence", evidence)):
            if len(found) != count:
                raise ValueError(f"expected {what} for each of {count} principles, got {len(found)}")
        lines = [" ".join(text.split()) or NO_EVIDENCE for text in evidence]
        return render_trace(list(zip(lines, candidate.verdicts, strict=True)), candidate.score)


def given_rows(file: Path) -> Iterator[tuple[int, SftRow | RowError]]:
    """The SFT rows of a file, and what is wrong with the others: also a completion that the served checkpoint
    would not be understood by. Raises RowError for a file that cannot be read."""
    for number, given in checked_rows(file, GivenRow):
        if isinstance(given, RowError):
            yield number, given
            continue
        try:
            rows = given.rows(f"{file.stem}-{number}")
            for row in rows:
                check_completion(row)
        except ValidationError as error:
            yield number, RowError.from_validation(file, number, error)
        except (EditRRMError, ValueError) as error:
            yield number, RowError(file, number, "completion" if given.completion else "", str(error))
        else:
            yield from ((number, row) for row in rows)


def check_completion(row: SftRow) -> None:
    """Reads a completion as the service would read what the checkpoint writes. Raises EditRRMError."""
    profile = TrainedProfile()
    if row.task == "verify":
        profile.parse_trace(row.completion, row.principles or ())
    elif row.task == "decompose":
        profile.parse_principles(row.completion)
    else:
        parse_score(row.completion)
