"""A results file: one row a scored candidate, as JSONL or Parquet by the file's suffix.

The columns are the fields of `ResultRow`, in its order. A path in a row is absolute or relative to the
folder of the file that holds the row, so that a results file can itself be scored again.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Protocol

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from edit_rrm.principles import Category
from edit_rrm.wire import MAX_SOURCES, PrinciplesFrom
from edit_rrm_client.bulk.durable import partial_of, put_in_place
from edit_rrm_client.bulk.errors import InputError

Suffix = Literal[".jsonl", ".parquet"]
SUFFIXES: tuple[Suffix, ...] = (".jsonl", ".parquet")
SOURCE_COLUMNS = ("source", *(f"source_{number}" for number in range(2, MAX_SOURCES + 1)))
IMAGE_COLUMNS = tuple(f"{name}_image" for name in (*SOURCE_COLUMNS, "edited"))


def _bytes_of_base64(value: Any) -> Any:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


def _base64_of_bytes(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")


ImageBytes = Annotated[
    bytes | None,
    BeforeValidator(_bytes_of_base64),
    PlainSerializer(_base64_of_bytes, return_type=str | None, when_used="json"),
]
"""The bytes of an image file; base64 in JSON."""

Reward = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)]


class RowModel(BaseModel):
    """Base of what a results file holds. Columns that others added are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class RowVerdict(RowModel):
    """A verdict together with the principle it is about."""

    principle: str
    question: str
    category: Category
    weight: float
    met: bool
    probability: float | None
    evidence: str


class RowGuard(RowModel):
    """One deterministic image check, as the service's answer has it; `decides`: it limited the reward."""

    name: str
    triggered: bool
    value: float
    decides: bool | None = None
    note: str = ""


class RowSubscore(RowModel):
    """One number of a judge that gives numbers, from 0 to 1: the mean over samples."""

    name: str
    value: Reward


class ResultRow(RowModel):
    """One candidate of one edit: what was asked, and its reward or why it has none."""

    key: str = Field(min_length=1)
    """Unique in the file, and the same in every run over the same input."""
    id: str
    """The edit: all candidates of one source and instruction share it."""
    candidate: int = Field(default=0, ge=0)
    model: str = ""
    """The editor that made the candidate; "" when the input did not say."""
    category: str = ""
    """The kind of edit, in the input's own words; not the category of a principle."""
    instruction: str
    source: str | None = None
    edited: str | None = None
    source_image: ImageBytes = None
    edited_image: ImageBytes = None
    source_2: str | None = None
    source_3: str | None = None
    source_4: str | None = None
    source_2_image: ImageBytes = None
    source_3_image: ImageBytes = None
    source_4_image: ImageBytes = None
    """Of an edit with several sources."""
    status: Literal["ok", "error"]
    reward: Reward | None = None
    score: Score | None = None
    average: Reward | None = None
    follow: Reward | None = None
    keep: Reward | None = None
    quality: Reward | None = None
    """`average` is the mean verdict; `follow`, `keep` and `quality` that of a category, None without one."""
    disagreement: float | None = None
    """Standard deviation of the samples' scores."""
    verdicts: tuple[RowVerdict, ...] = ()
    subscores: tuple[RowSubscore, ...] = ()
    guards: tuple[RowGuard, ...] = ()
    reasoning: str | None = None
    """The traces' text, when it was asked for; several samples are separated by a line of dashes."""
    error_code: str | None = None
    error_detail: str | None = None
    rrm: str | None = None
    """The reward model as the service reports it, name@digest; None when no service answered."""
    principles_from: PrinciplesFrom | None = None
    total_s: float | None = None
    """Seconds of the call that scored this candidate; its group shares them."""

    @property
    def sources(self) -> tuple[tuple[str | None, bytes | None], ...]:
        """Path and bytes of each source, in order; one at least."""
        first, *others = (
            (self.source, self.source_image),
            (self.source_2, self.source_2_image),
            (self.source_3, self.source_3_image),
            (self.source_4, self.source_4_image),
        )
        return (first, *(other for other in others if other != (None, None)))

    @model_validator(mode="after")
    def _a_failure_has_no_number(self) -> "ResultRow":
        if self.status == "ok" and (self.reward is None or self.score is None or self.error_code is not None):
            raise ValueError("a scored row has a reward, a score and no error_code")
        if self.status == "error" and (
            self.reward is not None or self.score is not None or not self.error_code
        ):
            raise ValueError("a failed row has an error_code and neither reward nor score")
        return self


class ResultWriter(Protocol):
    """Takes rows one at a time; the file appears, whole, when the `with` block ends without an error."""

    def write(self, row: ResultRow) -> None: ...
    def __enter__(self) -> "ResultWriter": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def read_results(path: str | Path, *, images: bool = True) -> Iterator[ResultRow]:
    """The rows of a results file, one at a time, in its order; Parquet is faster without its `images`.

    Raises InputError, naming file, row (from 1) and field, for what is no results file.
    """
    path = Path(path)
    for number, value in _raw_rows(path, suffix_of(path), images):
        try:
            yield (
                ResultRow.model_validate_json(value)
                if isinstance(value, bytes)
                else ResultRow.model_validate(value)
            )
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "row"
            raise InputError(f"{path}, row {number}: {where}: {first['msg']}") from error


def write_results(path: str | Path) -> ResultWriter:
    """A writer for `path`, which it replaces only at the end. Raises InputError for an unknown suffix."""
    path = Path(path)
    if suffix_of(path) == ".parquet":
        from edit_rrm_client.bulk.parquet import ParquetWriter

        return ParquetWriter(path)
    return _JsonlWriter(path)


def suffix_of(path: Path) -> Suffix:
    """The suffix of a results file. Raises InputError when it is none of them."""
    for suffix in SUFFIXES:
        if path.suffix.lower() == suffix:
            return suffix
    raise InputError(f"{path}: a results file ends in .jsonl or .parquet")


def image_path(path: str, results: str | Path) -> Path:
    """Where the image lies that a row of the file `results` calls `path`."""
    return Path(results).parent / path


class _JsonlWriter:
    """One JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = partial_of(path).open("wb")

    def write(self, row: ResultRow) -> None:
        self._file.write(row.model_dump_json().encode() + b"\n")

    def __enter__(self) -> "_JsonlWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            put_in_place(self._path)
        else:
            partial_of(self._path).unlink()


def _raw_rows(path: Path, suffix: Suffix, images: bool) -> Iterator[tuple[int, bytes | dict[str, Any]]]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if suffix == ".parquet":
        from edit_rrm_client.bulk.parquet import read_parquet

        yield from enumerate(read_parquet(path, without=() if images else IMAGE_COLUMNS), start=1)
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line
