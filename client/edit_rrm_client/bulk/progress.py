"""A job at a terminal: the bar while it runs, the table when it has ended. Prints; decides nothing."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from edit_rrm.time_left import duration
from edit_rrm_client.bulk.job import Job
from edit_rrm_client.bulk.outcome import Summary
from edit_rrm_client.bulk.rows import ResultRow
from edit_rrm_client.tables import printable


class _Rate(ProgressColumn):
    """Rows a second, lately."""

    def render(self, task: Task) -> Text:
        return Text("– rows/s" if task.speed is None else f"{task.speed:.1f} rows/s", "progress.data.speed")


class ScoringBar:
    """Rows done of all rows, rate, time left, and failures as soon as there are any."""

    def __init__(self, progress: Progress, total: int, done: int) -> None:
        self._progress = progress
        self._total = total
        self._task = progress.add_task("scoring", total=total, completed=done, failed="")
        self._failed = 0

    def advance(self, rows: Sequence[ResultRow]) -> None:
        """These rows are recorded."""
        self._failed += sum(row.status == "error" for row in rows)
        shown = f"[red]{self._failed} failed[/red]" if self._failed else ""
        self._progress.update(self._task, advance=len(rows), failed=shown)

    def end(self) -> None:
        """The last row was asked for; those that were refused beforehand need no more than this."""
        self._progress.update(self._task, completed=self._total)

    def waiting(self, why: str) -> None:
        """No service answers yet: a line that stays."""
        self._progress.console.print(Text(why))

    def draining(self) -> None:
        """A signal came: say what happens now."""
        self._progress.update(self._task, description="draining (again to cut off)")


@contextmanager
def scoring_bar(total: int, done: int, console: Console) -> Iterator[ScoringBar]:
    """A bar for `total` rows of which `done` are recorded already."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield ScoringBar(progress, total, done)


def beginning(rows: int, recorded: int) -> str:
    """Whether a job goes on, before its bar, which has the time left."""
    if recorded:
        return f"goes on: {recorded} of {rows} rows are recorded"
    return f"begins: {rows} rows; after a stop the same command goes on"


def ending(job: Job, summary: Summary) -> str:
    """How long a whole job took this time, and what to do with its results."""
    out, page = (shlex.quote(printable(str(path))) for path in (job.out, job.out.with_suffix(".html")))
    lines = [f"took {duration(summary.elapsed_s)}", f"look at it: edit-rrm report {out} --out {page}"]
    names = [shlex.quote(printable(name)) for name in summary.models if name]
    if len(names) > 1:
        lines.append(f"compare:    edit-rrm compare {out} --model-a {names[0]} --model-b {names[1]}")
    return "\n".join(lines)


def summary_table(summary: Summary) -> Table:
    """What became of the rows, by editor."""
    table = Table()
    for name in ("editor", "scored", "failed", "mean reward"):
        table.add_column(name, justify="left" if name == "editor" else "right")
    for name, model in summary.models.items():
        table.add_row(
            Text(printable(name) or "–"), str(model.scored), str(model.failed), _number(model.mean_reward)
        )
    if len(summary.models) > 1:
        table.add_section()
        table.add_row("all", str(summary.scored), str(summary.failed), _number(summary.mean_reward))
    return table


def failure_lines(job: Job, summary: Summary) -> list[str]:
    """What failed, how often, and where to read more."""
    if not summary.failed:
        return []
    reasons = ", ".join(f"{printable(code)} {count}" for code, count in summary.failed_by_code.items())
    return [f"failed: {reasons}", f"each with its reason: {job.failures}"]


def headline(job: Job, summary: Summary) -> str:
    """The counts, which add up."""
    counts = f"{summary.scored} scored + {summary.failed} failed + {summary.skipped} skipped"
    return f"{printable(str(job.out))}: {summary.input} rows = {counts}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
