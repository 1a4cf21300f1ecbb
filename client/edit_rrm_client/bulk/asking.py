"""One group asked, its answer as result rows. Knows the client; nothing of files, journals or concurrency."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.guards.modes import GuardMode, GuardName
from edit_rrm.principles import Category
from edit_rrm.wire import (
    MAX_SAMPLES,
    MAX_SOURCES,
    CandidateFailed,
    CandidateScored,
    ScoreAnswer,
)
from edit_rrm_client import AsyncRewardClient
from edit_rrm_client.bulk.errors import ModelChangedError
from edit_rrm_client.bulk.groups import Group
from edit_rrm_client.bulk.input_row import InputRow
from edit_rrm_client.bulk.rows import SOURCE_COLUMNS, ResultRow, RowGuard, RowSubscore, RowVerdict
from edit_rrm_client.errors import (
    AuthenticationError,
    EditRRMClientError,
    InvalidRequestError,
    OverloadedError,
    UnavailableError,
)

BETWEEN_SAMPLES = "\n----\n"


class ScoreSettings(BaseModel):
    """What decides a score beside the input and the model. A job keeps them to its last row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int | None = Field(default=None, ge=1, le=MAX_SAMPLES)
    """None: the judge's."""
    model: str | None = None
    """Which of a service's models judges; None: its first."""
    aggregator: AggregatorName | None = None
    guards: GuardMode | dict[GuardName, GuardMode] | None = None
    source_of_guards: int = Field(default=0, ge=0, lt=MAX_SOURCES)
    reasoning: bool = False


async def ask(client: AsyncRewardClient, group: Group, settings: ScoreSettings, rrm: str) -> list[ResultRow]:
    """A result for each row of the group, in order; a failure is a row of its own.

    A call refused for something in it is asked again one candidate at a time, so that a broken image
    costs only its own row; so is one that got no answer while a service is ready, for a row may be what
    ends the connection. Raises what no further row would survive: UnavailableError when no service is
    ready, OverloadedError, AuthenticationError, and ModelChangedError when another checkpoint than `rrm`
    answered.
    """
    rows = group.rows
    try:
        answer = await client.score(
            rows[0].instruction,
            rows[0].sources,
            [_image(row.edited_image, row.edited_file) for row in rows],
            samples=settings.samples,
            aggregator=settings.aggregator,
            guards=settings.guards,
            source_of_guards=settings.source_of_guards,
            model=settings.model,
            include=("reasoning",) if settings.reasoning else (),
            priority="bulk",
        )
    except EditRRMClientError as error:
        if error.code == "unknown_model":
            raise ModelChangedError(f"{error.detail}; the job's scores are of {rrm}") from error
        unanswered = isinstance(error, UnavailableError)
        if isinstance(error, OverloadedError | AuthenticationError) or (
            unanswered and not (await client.ready()).ok
        ):
            raise
        if len(rows) > 1 and (unanswered or isinstance(error, InvalidRequestError)):
            alone = [await ask(client, Group(rows=(row,)), settings, rrm) for row in rows]
            return [result for results in alone for result in results]
        return [failed(row, error.code, error.detail) for row in rows]
    if answer.model != rrm:
        raise ModelChangedError(f"a service answered as {answer.model}, the job's scores are of {rrm}")
    return rows_of_answer(rows, answer)


def rows_of_answer(rows: Sequence[InputRow], answer: ScoreAnswer) -> list[ResultRow]:
    """The answer's results, each under the row that asked for it."""
    return [
        _not_scored(row, answer, result)
        if isinstance(result, CandidateFailed)
        else _scored(row, answer, result)
        for row, result in zip(rows, answer.results, strict=True)
    ]


def failed(row: InputRow, code: str, detail: str) -> ResultRow:
    """The row without a reward, and why."""
    return ResultRow(
        **_asked(row),
        status="error",
        error_code=code,
        error_detail=detail,
    )


def _asked(row: InputRow) -> dict[str, Any]:
    """The columns that a result shares with its row."""
    names = ("key", "id", "candidate", "model", "category", "instruction", "source", "edited")
    more = zip(SOURCE_COLUMNS[1:], (source.path for source in row.more_sources), strict=False)
    return {**{name: getattr(row, name) for name in names}, **dict(more)}


def _scored(row: InputRow, answer: ScoreAnswer, result: CandidateScored) -> ResultRow:
    principles = {principle.id: principle for principle in answer.principles}
    judged = [(verdict, principles.get(verdict.principle)) for verdict in result.verdicts]
    texts = [sample.reasoning for sample in result.samples if sample.reasoning is not None]
    return ResultRow(
        **_asked(row),
        status="ok",
        reward=result.reward,
        score=result.score,
        average=result.average,
        follow=result.categories.get(Category.FOLLOW),
        keep=result.categories.get(Category.KEEP),
        quality=result.categories.get(Category.QUALITY),
        disagreement=result.disagreement,
        verdicts=tuple(
            RowVerdict(
                principle=verdict.principle,
                question=principle.question,
                category=principle.category,
                weight=principle.weight,
                met=verdict.met,
                probability=verdict.probability,
                evidence=verdict.evidence,
            )
            for verdict, principle in judged
            if principle is not None
        ),
        subscores=tuple(RowSubscore(name=name, value=value) for name, value in result.subscores.items()),
        guards=tuple(RowGuard(**g.model_dump(include=set(RowGuard.model_fields))) for g in result.guards),
        reasoning=BETWEEN_SAMPLES.join(texts) if texts else None,
        rrm=answer.model,
        principles_from=answer.principles_from,
        total_s=answer.timing.total_s,
    )


def _not_scored(row: InputRow, answer: ScoreAnswer, result: CandidateFailed) -> ResultRow:
    bare = failed(row, result.error.code, result.error.detail)
    told = {
        "rrm": answer.model,
        "principles_from": answer.principles_from,
        "total_s": answer.timing.total_s,
    }
    return bare.model_copy(update=told)


def _image(data: bytes | None, file: str | None) -> bytes | str:
    return data if data is not None else file or ""
