"""What a job leaves beside its results: the failures file, and a summary whose counts add up."""

from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from edit_rrm_client.bulk.asking import ScoreSettings
from edit_rrm_client.bulk.durable import partial_of, put_in_place
from edit_rrm_client.bulk.input_row import InputRow
from edit_rrm_client.bulk.rows import ResultRow


class FailureRow(BaseModel):
    """A row without a reward: where it stands in the input and why. `field` is "" when scoring failed."""

    model_config = ConfigDict(frozen=True)

    file: str
    row: int
    field: str
    key: str
    id: str
    candidate: int
    model: str
    stage: Literal["input", "service"]
    """Whether the row was refused before anybody was asked, or the service did not score it."""
    code: str
    detail: str


class ModelSummary(BaseModel):
    """One editor's rows. `mean_reward` is over the scored ones, None when there are none."""

    model_config = ConfigDict(frozen=True)

    scored: int
    failed: int
    mean_reward: float | None


class Summary(BaseModel):
    """A job in numbers: every row of the input is scored, failed or skipped (not asked in the end)."""

    model_config = ConfigDict(frozen=True)

    input_name: str
    """The file whose rows were counted, with its folder: `set/edits.jsonl`."""
    input: int
    scored: int
    failed: int
    skipped: int
    failed_by_code: dict[str, int]
    models: dict[str, ModelSummary]
    mean_reward: float | None
    rrm: str | None
    settings: ScoreSettings
    complete: bool
    """Whether the job came to the end of the rows it was asked for; the results exist only then."""
    elapsed_s: float
    """Seconds of this run, earlier ones of the same job not included."""

    @model_validator(mode="after")
    def _adds_up(self) -> "Summary":
        if self.input != self.scored + self.failed + self.skipped:
            raise ValueError("input must be scored + failed + skipped")
        if self.failed != sum(self.failed_by_code.values()):
            raise ValueError("failed must be the sum of failed_by_code")
        return self


class Tally:
    """Counts rows as they pass; holds one entry a model and a failure code."""

    def __init__(self) -> None:
        self.scored: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.failed_by_code: Counter[str] = Counter()
        self._reward: dict[str, float] = {}

    @property
    def counted(self) -> int:
        return self.scored.total() + self.failed.total()

    def add(self, row: ResultRow) -> None:
        """Counts one result."""
        if row.reward is None:
            self.failed[row.model] += 1
            self.failed_by_code[row.error_code or ""] += 1
        else:
            self.scored[row.model] += 1
            self._reward[row.model] = self._reward.get(row.model, 0.0) + row.reward

    def summary(
        self,
        *,
        input_file: Path,
        total: int,
        rrm: str | None,
        settings: ScoreSettings,
        complete: bool,
        elapsed_s: float,
    ) -> Summary:
        """The counts, for an input of `total` rows."""
        models = {
            model: ModelSummary(
                scored=self.scored[model],
                failed=self.failed[model],
                mean_reward=_mean(self._reward.get(model, 0.0), self.scored[model]),
            )
            for model in sorted(self.scored.keys() | self.failed.keys())
        }
        return Summary(
            input_name="/".join(input_file.parts[-2:]),
            input=total,
            scored=self.scored.total(),
            failed=self.failed.total(),
            skipped=total - self.counted,
            failed_by_code=dict(self.failed_by_code.most_common()),
            models=models,
            mean_reward=_mean(sum(self._reward.values()), self.scored.total()),
            rrm=rrm,
            settings=settings,
            complete=complete,
            elapsed_s=elapsed_s,
        )


class FailuresFile:
    """Writes failures one at a time; the file takes its place when the `with` block ends without an error."""

    def __init__(self, path: Path, input_file: Path) -> None:
        self._path = path
        self._input_file = str(input_file)
        self._file = partial_of(path).open("wb")

    def add(self, row: InputRow, result: ResultRow) -> None:
        """One row that has no reward."""
        refused = row.problem if row.problem and row.problem.code == result.error_code else None
        failure = FailureRow(
            file=self._input_file,
            row=row.row,
            field=refused.field if refused else "",
            key=row.key,
            id=row.id,
            candidate=row.candidate,
            model=row.model,
            stage="input" if refused else "service",
            code=result.error_code or "",
            detail=result.error_detail or "",
        )
        self._file.write(failure.model_dump_json().encode() + b"\n")

    def __enter__(self) -> "FailuresFile":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        if kind is None:
            put_in_place(self._path)
        else:
            partial_of(self._path).unlink()


def write_summary(path: Path, summary: Summary) -> None:
    """The summary as JSON."""
    partial_of(path).write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
    put_in_place(path)


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None
