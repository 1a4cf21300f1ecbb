"""Runs one step over its inputs: skips what is done, works on many at once, keeps failures' reasons."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from edit_rrm.errors import EditRRMError
from edit_rrm_training.endpoints.endpoint import Meter
from edit_rrm_training.endpoints.usage import Usage
from edit_rrm_training.errors import AnswerError, EndpointError, StepError, TrainingError
from edit_rrm_training.pipeline.journal import Journal
from edit_rrm_training.pipeline.rows import FailedRow, Row

GIVE_UP_AFTER = 20
"""So many endpoint failures in a row mean that the endpoint, not the rows, is to blame: the step ends."""

I = TypeVar("I")  # noqa: E741  # an input
R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Task(Generic[I]):
    """An input, and the id its row will have."""

    id: str
    input: I


@dataclass
class StepReport:
    """What a run of a step did; the rows that were there before are `done_before`."""

    done_before: int = 0
    failed_before: int = 0
    written: int = 0
    failed: int = 0
    usage: Usage = field(default_factory=Usage)
    """Of this run."""

    def __str__(self) -> str:
        spent = self.usage
        return (
            f"{self.written} rows written, {self.failed} failed; before: {self.done_before} written, "
            f"{self.failed_before} failed; {spent.requests} requests, {spent.prompt_tokens} prompt and "
            f"{spent.completion_tokens} completion tokens, cost {spent.cost:.2f}"
        )


def failed_path(out: Path) -> Path:
    """Where a step that writes `out` keeps what failed."""
    return out.with_suffix(".failed.jsonl")


async def run_step(
    step: str,
    tasks: Iterable[Task[I]],
    work: Callable[[I, Meter], Awaitable[R]],
    out: Path,
    model: type[R],
    *,
    concurrency: int,
    retry_failed: bool = False,
    on_done: Callable[[], None] = lambda: None,
) -> StepReport:
    """Does `work` on each task whose id is neither written nor failed, and writes its row or its failure.

    `retry_failed` forgets the failures first. What is wrong with one row (an endpoint's answer, a picture,
    an editor) fails the row; `GIVE_UP_AFTER` failed endpoints in a row raise StepError; anything else is a
    defect and ends the step.
    """
    report = StepReport()
    with Journal(out, model) as rows, Journal(failed_path(out), FailedRow) as failures:
        if retry_failed:
            failures.clear()
        report.done_before, report.failed_before = len(rows.ids), len(failures.ids)
        unbroken = 0
        waiting = iter(tasks)

        async def worker() -> None:
            nonlocal unbroken
            for task in waiting:
                if task.id in rows.ids or task.id in failures.ids:
                    on_done()
                    continue
                meter = Meter()
                try:
                    row = await work(task.input, meter)
                except (EditRRMError, TrainingError, OSError) as error:
                    failures.append(_failure(step, task.id, error, meter.usage))
                    report.failed += 1
                    unbroken = unbroken + 1 if isinstance(error, EndpointError) else 0
                    if unbroken >= GIVE_UP_AFTER:
                        raise StepError(
                            f"{step}: {unbroken} rows in a row failed, the last with: {error}. Mend the "
                            "endpoint, then run again with --retry-failed"
                        ) from error
                else:
                    unbroken = 0
                    rows.append(row)
                    report.written += 1
                report.usage += meter.usage
                on_done()

        await _all(worker, concurrency)
    return report


async def _all(worker: Callable[[], Awaitable[None]], count: int) -> None:
    """`count` workers at once; the first error ends them all and is raised as it is."""
    workers = [asyncio.ensure_future(worker()) for _ in range(count)]
    try:
        await asyncio.gather(*workers)
    finally:
        for each in workers:
            each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _failure(step: str, row: str, error: Exception, usage: Usage) -> FailedRow:
    kind = error.kind if isinstance(error, EndpointError) else type(error).__name__
    text = error.text if isinstance(error, AnswerError) else ""
    return FailedRow(id=row, step=step, kind=kind, reason=str(error), text=text, usage=usage)
