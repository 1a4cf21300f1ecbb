"""The table of the claim in Markdown, made of the results alone. Pure."""

from collections.abc import Callable, Sequence

from edit_rrm.intervals import Share
from edit_rrm_shapes.reproduce_editor.caveats import caveats
from edit_rrm_shapes.reproduce_editor.plan import EditPlan, runs_of
from edit_rrm_shapes.reproduce_editor.results import CATEGORIES, Point, Results
from edit_rrm_shapes.staged.verdicts import MEANING, OPEN

NOTE = (
    "Held-out edits, one picture each, sampled by the ODE with the same noise before and after. Success: "
    "every follow and keep verdict of the oracle is met; utility is the oracle's, 0 to 10; reward is the "
    "mean of the reward model the run was trained on, asked with the gold principles. Intervals of shares "
    "are Wilson's, those of gains take edits as units. Fooled: of the principles the oracle finds not met, "
    "the share that the reward model finds met. Denied: of those it finds met, the share that the model "
    "finds not met. The curves' last panel is the reward of the candidates that were trained on. "
    f"{MEANING} {OPEN}"
)


def markdown(plan: EditPlan, results: Results) -> str:
    """What is not measured yet is said to be."""
    lines = ["# The shapes editor under a trained reward", ""]
    lines += [f"- {sentence}" for sentence in caveats(plan, results)]
    lines += ["", NOTE, "", "| what has to come out | found | verdict |", "|---|---|---|"]
    lines += [
        f"| {name} | {found} | {found.verdict} |" if found else f"| {name} | not measured yet | |"
        for name, found in results.claims.items()
    ]
    lines += [
        "",
        "| run | updates | edits | success | utility | reward | not scored |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs_of(plan):
        lines += [
            f"| {run} | {point.update} | {point.edits} | {point.successes.short} | {point.utility:.2f} "
            f"| {point.reward:.3f} | {point.unscored} |"
            for point in results.of(run)
        ] or [f"| {run} | not measured yet | | | | | |"]
    ends = "; ".join(f"{run} after {points[-1].update}" for run, points in results.runs.items())
    note = f"Before → after the last measured updates ({ends})."
    categories = sorted({name for points in results.runs.values() for name in points[0].success_of})
    for title, table in (
        ("Success by category", _by_category(results, categories)),
        ("Fooled", _lies("principles", CATEGORIES, lambda point, name: point.fooled[name], results)),
        ("Fooled about keep, by category", _lies("category", categories, _fooled_about_keep, results)),
        ("Denied", _lies("principles", CATEGORIES, lambda point, name: point.denied[name], results)),
    ):
        lines += ["", f"## {title}", "", note, "", *table]
    return "\n".join(lines) + "\n"


def _by_category(results: Results, categories: Sequence[str]) -> list[str]:
    table = [
        "| category | edits | " + " | ".join(results.runs) + " |",
        "|---|---|" + "---|" * len(results.runs),
    ]
    for name in categories:
        before = [points[0].success_of[name] for points in results.runs.values()]
        after = [points[-1].success_of[name] for points in results.runs.values()]
        counts = ", ".join(map(str, sorted({one.total for one in before})))
        cells = [f"{early.value:.2f} → {late.value:.2f}" for early, late in zip(before, after, strict=True)]
        table.append(f"| {name} | {counts} | " + " | ".join(cells) + " |")
    return table


def _lies(
    heading: str,
    names: Sequence[str],
    lie: Callable[[Point, str], Share | None],
    results: Results,
) -> list[str]:
    """A row a name, a column a run: the share before and after."""
    table = [f"| {heading} | " + " | ".join(results.runs) + " |", "|---|" + "---|" * len(results.runs)]
    for name in names:
        cells = []
        for points in results.runs.values():
            ends = [lie(point, name) for point in (points[0], points[-1])]
            cells.append(
                " → ".join(f"{one.value:.2f} of {one.total}" if one and one.total else "–" for one in ends)
            )
        table.append(f"| {name} | " + " | ".join(cells) + " |")
    return table


def _fooled_about_keep(point: Point, category: str) -> Share | None:
    return point.fooled_about_keep[category] if point.fooled_about_keep else None
