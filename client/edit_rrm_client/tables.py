"""Answers as Rich tables for people. Pure: builds renderables, prints nothing.

Questions, evidence and notes come from callers and models: they are shown as text, never as markup,
and without the control characters that could drive a terminal.
"""

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edit_rrm.principles import Category, Principle
from edit_rrm.wire import (
    CandidateFailed,
    CandidateScored,
    GuardAnswer,
    ModelAnswer,
    ScoreAnswer,
    VerdictAnswer,
)
from edit_rrm_client.errors import EditRRMClientError, UnavailableError

_START_ONE = "; start one with `edit-rrm-server serve`, or name where one runs with --url"
CATEGORY_STYLES = {Category.FOLLOW: "cyan", Category.KEEP: "magenta", Category.QUALITY: "yellow"}


def told(error: Exception) -> str:
    """An error as a line of text, with what to do where nothing listens at a service's address."""
    nobody = isinstance(error, EditRRMClientError) and error.code == UnavailableError.default_code
    return f"{printable(str(error))}{_START_ONE if nobody else ''}"


def printable(text: str) -> str:
    """`text` with every control character replaced by a space."""
    return "".join(character if character.isprintable() else " " for character in text)


def score_view(answer: ScoreAnswer, index: int = 0, *, title: str = "") -> RenderableType:
    """Everything about one candidate: principles with verdicts, guards, score and reward."""
    result = answer.results[index]
    if isinstance(result, CandidateFailed):
        reason = Text.assemble(
            ("not scored ", "bold red"), f"{result.error.code}: {printable(result.error.detail)}"
        )
        return Group(principle_table(answer.principles, title=title), reason)
    if answer.principles:
        verdicts = {verdict.principle: verdict for verdict in result.verdicts}
        top: RenderableType = verdict_table(answer.principles, verdicts, title=title)
    else:  # the judge has questions of its own, or a guard decided before anything was decomposed
        top = Text(printable(title), "italic")
    numbers = [subscore_line(result.subscores)] if result.subscores else []
    return Group(top, *numbers, guard_line(result.guards), score_line(result))


def principle_table(principles: Iterable[Principle], *, title: str = "") -> Table:
    """Principles alone: number, category and question."""
    table = Table(title=Text(printable(title)) if title else None, title_justify="left", expand=True)
    table.add_column("", justify="right", style="dim")
    table.add_column("category")
    table.add_column("principle", ratio=1)
    for principle in principles:
        table.add_row(*_principle_cells(principle))
    return table


def verdict_table(
    principles: Iterable[Principle], verdicts: dict[str, VerdictAnswer], *, title: str = ""
) -> Table:
    """Principles with the verdict, its probability and the evidence for it; a dash where there is none."""
    table = Table(title=Text(printable(title)) if title else None, title_justify="left", expand=True)
    table.add_column("", justify="right", style="dim", no_wrap=True)
    table.add_column("category", no_wrap=True)
    table.add_column("principle", ratio=1)
    table.add_column("met", justify="center", no_wrap=True)
    table.add_column("p(met)", justify="right", no_wrap=True)
    table.add_column("evidence", ratio=1)
    for principle in principles:
        verdict = verdicts.get(principle.id)
        if verdict is None:
            table.add_row(*_principle_cells(principle), "–", "–", Text("not judged", "dim"))
            continue
        mark = Text("✓", "bold green") if verdict.met else Text("✗", "bold red")
        probability = "–" if verdict.probability is None else f"{verdict.probability:.2f}"
        table.add_row(*_principle_cells(principle), mark, probability, Text(printable(verdict.evidence)))
    return table


def guard_line(guards: Iterable[GuardAnswer]) -> Text:
    """The guards on one line, those that limit the reward in red."""
    line = Text("guards  ", "dim")
    checks = list(guards)
    for guard in checks:
        if not guard.triggered:
            state, style = "passed", "green"
        elif guard.limits:
            state, style = "fired", "bold red"
        else:
            state, style = "reported", "bold yellow"
        note = f": {printable(guard.note)}" if guard.note else ""
        line.append(f"{printable(guard.name)} {state}", style).append(f" ({guard.value:.3g}{note})  ", "dim")
    return line if checks else line.append("off", "dim")


def subscore_line(subscores: Mapping[str, float]) -> Text:
    """What a judge gave that gives numbers, each from 0 to 1, on one line."""
    line = Text("subscores  ", "dim")
    for name, value in subscores.items():
        line.append(f"{printable(name)} ").append(f"{value:.2f}  ", "bold")
    return line


def score_line(result: CandidateScored) -> Text:
    """Score, reward and the category means on one line."""
    line = Text("score ", "dim").append(f"{result.score:.1f}/10", "bold")
    line.append("   reward ", "dim").append(f"{result.reward:.3f}", "bold " + _reward_style(result.reward))
    for category, mean in result.categories.items():
        line.append(f"   {category.value} ", "dim").append(f"{mean:.2f}")
    if len(result.samples) > 1:
        line.append(f"   ± {result.disagreement:.2f} over {len(result.samples)} samples", "dim")
    if not result.samples:
        line.append("   decided by a guard; the model was not asked", "dim")
    return line


def models_table(models: Iterable[ModelAnswer]) -> Table:
    """The loaded checkpoints: what a run should write down about its reward model."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for model in models:
        sampling = ", ".join(f"{name} {value}" for name, value in model.sampling.items())
        limits = ", ".join(f"{name} {value}" for name, value in model.limits.items())
        for name, value in (
            ("model", model.reported),
            ("architecture", model.architecture),
            ("profile", f"{model.profile}, trace format {model.trace_format}"),
            ("judge", model.judge),
            ("subscores", ", ".join(model.subscores)),
            ("categories", ", ".join(model.categories)),
            ("aggregator", model.aggregator),
            ("sampling", sampling),
            ("image limits", limits),
        ):
            if value:
                table.add_row(name, Text(printable(value)))
    return table


def judges_panel(model: ModelAnswer) -> Panel:
    """What this model's scores are good for, in its own card's words."""
    note = model.judges or "This checkpoint's card does not say what its scores are good for."
    title = Text(f"{printable(model.name)}: what its scores are good for")
    return Panel(Text(printable(note)), title=title, title_align="left", border_style="blue")


def _principle_cells(principle: Principle) -> tuple[str, Text, Text]:
    category = Text(principle.category.value, CATEGORY_STYLES[principle.category])
    question = Text(printable(principle.question))
    if principle.weight != 1.0:
        question.append(f" (weight {principle.weight:g})", "dim")
    return printable(principle.id), category, question


def _reward_style(reward: float) -> str:
    return "green" if reward >= 0.8 else "yellow" if reward >= 0.4 else "red"
