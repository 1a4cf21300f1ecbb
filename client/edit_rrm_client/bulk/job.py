"""One bulk job: the rows that are not recorded yet are asked for, then results are written from the journal.

Results are in the input's order and hold every row that was asked for exactly once. How groups are
asked (here or on a cluster) is the caller's `run`.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edit_rrm_client.bulk.asking import ScoreSettings, failed
from edit_rrm_client.bulk.errors import AccountingError, ResumeRefusedError
from edit_rrm_client.bulk.groups import Group, grouped
from edit_rrm_client.bulk.input_row import InputRow
from edit_rrm_client.bulk.inputs import BulkInput
from edit_rrm_client.bulk.journal import JobHeader, Journal
from edit_rrm_client.bulk.outcome import FailuresFile, Summary, Tally, write_summary
from edit_rrm_client.bulk.rows import SOURCE_COLUMNS, ResultRow, suffix_of, write_results

Keep = Callable[[Sequence[ResultRow]], None]


@dataclass(frozen=True)
class Job:
    """What is scored, how, and where results go."""

    source: BulkInput
    out: Path
    settings: ScoreSettings
    limit: int | None = None
    """Only the first rows of the input; a later run may go on without it."""
    embed_images: bool = False
    restart: bool = False
    retry_failed: bool = False

    @property
    def journal(self) -> Path:
        return self.out.with_name(self.out.name + ".journal.jsonl")

    @property
    def failures(self) -> Path:
        return self.out.with_name(self.out.name + ".failures.jsonl")

    @property
    def summary(self) -> Path:
        return self.out.with_name(self.out.name + ".summary.json")


@dataclass(frozen=True)
class Work:
    """What `run` gets: the groups to ask for, and where their results go."""

    groups: Iterator[Group]
    keep: Keep
    rrm: str | None
    """The reward model of the rows recorded earlier; None when there are none."""
    rows: int
    """How many rows there are in all, recorded and refused ones included."""
    recorded: int


Run = Callable[[Work], bool]
"""Asks for every group and says whether it came to the end; False when it was told to stop."""


def run_job(job: Job, run: Run, clock: Callable[[], float] = time.monotonic) -> Summary:
    """Does the job, or the rest of it.

    Raises ResumeRefusedError, AccountingError, and what `run` raises when the service is away; what was
    answered before is recorded in every case.
    """
    started_s = clock()
    suffix_of(job.out)
    if job.out.resolve() == job.source.file.resolve():
        raise ResumeRefusedError(f"{job.out} is the input; choose another output")
    if job.out.exists() and not job.journal.exists() and not job.restart:
        raise ResumeRefusedError(
            f"{job.out} exists without its journal; choose another output, or replace it with --restart"
        )
    total = job.source.count()
    header = JobHeader(input_digest=job.source.digest(), settings=job.settings)
    with Journal(job.journal, header, restart=job.restart) as journal:
        work = Work(
            groups=grouped(_pending(job, journal)),
            keep=journal.append,
            rrm=journal.rrm,
            rows=total if job.limit is None else min(total, job.limit),
            recorded=min(journal.rows, total if job.limit is None else job.limit),
        )
        finished = False
        try:
            finished = run(work)
        finally:
            journal.sync()
            tally = _write_outcome(job, journal, complete=finished)
            if finished and tally.counted != work.rows:
                raise AccountingError(
                    f"{work.rows} rows were to be scored, {tally.counted} are accounted for"
                )
            summary = tally.summary(
                input_file=job.source.file,
                total=total,
                rrm=journal.rrm,
                settings=job.settings,
                complete=finished,
                elapsed_s=round(clock() - started_s, 3),
            )
            write_summary(job.summary, summary)
    return summary


def _pending(job: Job, journal: Journal) -> Iterator[InputRow]:
    """The rows to ask for: without a problem, and not recorded, or recorded as failed and to be retried."""
    for row in _rows(job):
        record = journal.get(row.key)
        again = job.retry_failed and record is not None and record.status == "error"
        if row.problem is None and (record is None or again):
            yield row


def _write_outcome(job: Job, journal: Journal, *, complete: bool) -> Tally:
    """Failures as far as they are known; results too when the job is complete. Reads the input once."""
    tally = Tally()
    with ExitStack() as files:
        failures = files.enter_context(FailuresFile(job.failures, job.source.file))
        results = files.enter_context(write_results(job.out)) if complete else None
        for row in _rows(job):
            result = _result(row, journal)
            if result is None:
                continue
            tally.add(result)
            if result.status == "error":
                failures.add(row, result)
            if results is not None:
                results.write(_with_images(row, result, embed=job.embed_images))
    return tally


def _rows(job: Job) -> Iterator[InputRow]:
    return itertools.islice(job.source.rows(), job.limit)


def _result(row: InputRow, journal: Journal) -> ResultRow | None:
    """What is recorded, also when the row's file is gone by now; else what is wrong with the row."""
    record = journal.get(row.key)
    if record is not None:
        return journal.read(record)
    return (
        failed(row, row.problem.code, f"{row.problem.field}: {row.problem.detail}") if row.problem else None
    )


def _with_images(row: InputRow, result: ResultRow, *, embed: bool) -> ResultRow:
    """The result with the images that the input embedded, and the files' when they are to be embedded."""
    images = {
        "source_image": _image(row.source_image, row.source_file, embed),
        "edited_image": _image(row.edited_image, row.edited_file, embed),
    }
    for name, source in zip(SOURCE_COLUMNS[1:], row.more_sources, strict=False):
        images[f"{name}_image"] = _image(source.image, source.file, embed)
    return result.model_copy(update=images)


def _image(data: bytes | None, file: str | None, embed: bool) -> bytes | None:
    if data is not None or not embed or file is None:
        return data
    try:
        return Path(file).read_bytes()
    except OSError:  # the row says itself that the file was missing, or it is gone since it was scored
        return None
