"""The lines each benchmark prints: what is measured, and the published numbers it stands beside. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from edit_rrm.intervals import wilson
from edit_rrm_client.bench.accuracy import Accuracy, Judged, fitted_margin, of_comparisons, of_groups
from edit_rrm_client.bench.comparisons import DIMENSIONS
from edit_rrm_client.bench.published import EDITSCORE_OVERALL, GENAI, TIGER
from edit_rrm_client.tables import printable


@dataclass(frozen=True)
class Line:
    """One accuracy. `share` replaces the accuracy's own where it is a mean of shares, without an interval."""

    name: str
    accuracy: Accuracy
    published: Mapping[str, float] = field(default_factory=dict)
    mean_of_shares: float | None = None

    @property
    def share(self) -> float | None:
        """The number to print, 0 to 1."""
        return self.accuracy.share if self.mean_of_shares is None else self.mean_of_shares


def editscore_lines(judged: Sequence[Judged], *, tasks: bool) -> list[Line]:
    """By dimension: the published mean over task types, all rows, and each task when asked."""
    lines = []
    for dimension in DIMENSIONS:
        rows = [one for one in judged if one.label.dimension == dimension]
        if not rows:
            continue
        by_task = {
            task: of_comparisons([one for one in rows if one.label.task == task])
            for task in sorted({one.label.task for one in rows})
        }
        shares = [accuracy.share for accuracy in by_task.values() if accuracy.share is not None]
        everything = of_comparisons(rows)
        published = EDITSCORE_OVERALL if dimension == "overall" else {}
        mean = sum(shares) / len(shares) if shares else None
        lines.append(Line(f"{dimension}, mean over {len(shares)} task types", everything, published, mean))
        lines.append(Line(f"{dimension}, all rows", everything))
        if tasks:
            lines += [Line(f"{dimension}, {task}", accuracy) for task, accuracy in by_task.items()]
    return lines


def tiger_lines(judged: Sequence[Judged]) -> list[Line]:
    """Groups by size as published, then the single pairs."""
    pairs = [one for one in judged if one.label.k == 2]
    margin = fitted_margin(pairs) if pairs else 0.0
    lines, total = [], []
    for k in (2, 3, 4):
        members = [one for one in judged if one.label.k == k]
        if not members:
            continue
        accuracy = of_groups(members, margin if k == 2 else 0.0)
        total.append(accuracy)
        how = f", ties within {margin:.3g} (fitted)" if k == 2 else ", whole groups"
        lines.append(Line(f"K={k}{how}", accuracy, TIGER[f"K={k}"]))
    if len(total) > 1:
        lines.append(Line("overall, all groups", _summed(total), TIGER["overall"]))
    for k in (2, 3, 4):
        members = [one for one in judged if one.label.k == k]
        if members:
            lines.append(Line(f"single pairs, K={k}, only equal scores tie", of_comparisons(members)))
    return lines


def genai_lines(judged: Sequence[Judged]) -> list[Line]:
    """With human ties and the fitted margin, as published; then without either."""
    margin = fitted_margin(judged)
    decided = [one for one in judged if one.label.vote != 0]
    return [
        Line(f"all votes, ties within {margin:.3g} (fitted)", of_comparisons(judged, margin), GENAI),
        Line("all votes, only equal scores tie", of_comparisons(judged)),
        Line("votes for one side only", of_comparisons(decided)),
    ]


def mmrb2_lines(judged: Sequence[Judged]) -> list[Line]:
    """All pairs, then each source of prompts."""
    by_task = {
        task: [one for one in judged if one.label.task == task] for task in {one.label.task for one in judged}
    }
    parts = [Line(task, of_comparisons(by_task[task])) for task in sorted(by_task) if task]
    return [Line("all pairs", of_comparisons(judged)), *parts]


def compass_lines(judged: Sequence[Judged]) -> list[Line]:
    """By dimension, ties of people right only where the judge's values are equal, as published."""
    lines = []
    for dimension in DIMENSIONS:
        rows = [one for one in judged if one.label.dimension == dimension]
        if rows:
            lines.append(Line(dimension, of_comparisons(rows, 1e-5)))
            decided = [one for one in rows if one.label.vote != 0]
            lines.append(Line(f"{dimension}, preferences alone", of_comparisons(decided)))
    return lines


def lines_table(title: str, lines: Sequence[Line], source: str) -> Table:
    """The lines for people; `source` says where the published numbers stand."""
    table = Table(title=Text(printable(title)), title_justify="left", caption=Text(f"published: {source}"))
    table.add_column("")
    for name in ("accuracy", "95 %", "n", "ties", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("published")
    for line in lines:
        published = ", ".join(f"{who} {number:.1f}" for who, number in line.published.items())
        interval = line.accuracy.interval if line.mean_of_shares is None else None
        table.add_row(
            Text(printable(line.name)),
            "–" if line.share is None else f"{100 * line.share:.1f}",
            "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}",
            str(line.accuracy.total),
            str(line.accuracy.ties),
            Text(str(line.accuracy.failed), "bold red" if line.accuracy.failed else ""),
            published,
        )
    return table


def _summed(parts: Sequence[Accuracy]) -> Accuracy:
    """Accuracies of separate, independent groups as one."""
    right, total = sum(part.right for part in parts), sum(part.total for part in parts)
    return Accuracy(
        right=right,
        total=total,
        ties=sum(part.ties for part in parts),
        failed=sum(part.failed for part in parts),
        interval=wilson(right / total, total) if total else None,
    )
