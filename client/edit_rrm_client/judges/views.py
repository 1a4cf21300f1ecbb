"""Judges as Rich tables for people. Pure: builds renderables, prints nothing.

Prompts and names come from files of strangers: they are shown as text, never as markup, and without control
characters.
"""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edit_rrm.judges.advice import sample_asks
from edit_rrm.judges.forms.answers import AnswerForm, DigitExpectation, JsonScores, LabelledScores, TraceForm
from edit_rrm.judges.importing import Importer
from edit_rrm.judges.judge import Ask, Judge
from edit_rrm.judges.written import WrittenJudge
from edit_rrm.prompts import ImageSlot, Message
from edit_rrm.wire import Sampling
from edit_rrm_client.judges.trying import Tried
from edit_rrm_client.tables import printable

_ABOUT = {
    "trained": "Checkpoints trained by this project, trace format 1.",
    "zero_shot": "Any instruction-tuned VLM: principles first, then a verdict on each, in JSON.",
}


def judges_table(judges: Iterable[Judge]) -> Table:
    """One line a judge."""
    table = Table(title="judges", title_justify="left", expand=True)
    table.add_column("name", no_wrap=True, style="bold")
    table.add_column("principles")
    table.add_column("answer form")
    table.add_column("reward", ratio=1, overflow="fold")
    table.add_column("about", ratio=2)
    for judge in judges:
        forms = ", ".join(dict.fromkeys(_forms(judge)))
        cells = (
            judge.name,
            "needed" if judge.needs_principles else "–",
            forms,
            reward_of(judge),
            _about(judge),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def importers_table(importers: Iterable[tuple[str, Importer]]) -> Table:
    """What `edit-rrm judges import` knows."""
    table = Table(title="to import, with a checkout of theirs", title_justify="left", expand=True)
    table.add_column("name", no_wrap=True, style="bold")
    table.add_column("repository")
    table.add_column("for", ratio=1)
    for name, importer in importers:
        table.add_row(name, importer.repository, importer.about)
    return table


def judge_view(judge: Judge) -> RenderableType:
    """What is sent for the sample edit, ask by ask, and what becomes of the answers."""
    head = Text(printable(f"{judge.name} {judge.version}".strip()), "bold")
    about = Text(printable(_about(judge)))
    asks = sample_asks(judge)
    if judge.needs_principles and asks[0].kind.each:
        asks = asks[:1]  # the others differ by their question
    return Group(head, about, "", *(_ask_view(judge, ask) for ask in asks), _facts(judge))


def tried_view(tried: Tried) -> RenderableType:
    """Subscores or verdicts of each answered ask, then reward and score."""
    table = Table(title="sample answers", title_justify="left")
    for column in ("ask", "reads"):
        table.add_column(column)
    for name, reading in tried.readings.items():
        read = [
            f"{one} {'n/a' if value is None else f'{value:.4g}'}" for one, value in reading.subscores.items()
        ]
        read += [f"{'met' if verdict.met else 'not met'}" for verdict in reading.verdicts]
        table.add_row(name, Text(", ".join(read)))
    if tried.judgement is None:
        return Group(table, Text(f"no reward: no answer for {', '.join(tried.unanswered)}", "yellow"))
    found = tried.judgement
    return Group(table, Text(f"reward {found.reward:.4g}   score {found.score:.4g}/10", "bold"))


def reward_of(judge: Judge) -> str:
    """Its expression, or who aggregates its verdicts."""
    if isinstance(judge, WrittenJudge) and judge.spec.reward is not None:
        return judge.spec.reward
    return f"aggregator {judge.aggregator or 'of the checkpoint'}"


def form_of(answer: AnswerForm) -> str:
    """An answer form in a few words."""
    if isinstance(answer, JsonScores | LabelledScores):
        low, high = answer.range
        kind = f'JSON "{answer.key}"' if isinstance(answer, JsonScores) else "labelled lines"
        if isinstance(answer, LabelledScores) and answer.number_label is not None:
            kind = f'sections, each with "{answer.number_label}"'
        return f"{kind}, {low:g} to {high:g}: {', '.join(answer.subscore_names)}"
    if isinstance(answer, DigitExpectation):
        return f"one digit, {answer.digits[0]} to {answer.digits[-1]}, by expectation: {answer.subscore}"
    return (
        f"a trace, format {answer.format}" if isinstance(answer, TraceForm) else "yes or no, by probability"
    )


def _forms(judge: Judge) -> Iterator[str]:
    if isinstance(judge, WrittenJudge):
        yield from (ask.answer.form for ask in judge.spec.asks)
    else:
        yield "trace" if judge.gives_verdicts else "its own"


def _about(judge: Judge) -> str:
    if isinstance(judge, WrittenJudge):
        return judge.spec.about
    return _ABOUT.get(judge.name, "")


def _ask_view(judge: Judge, ask: Ask) -> RenderableType:
    title = Text(f"ask {printable(ask.kind.name)}", "bold cyan")
    if ask.kind.each:
        title.append(" (once for every principle)", "dim")
    if isinstance(judge, WrittenJudge):
        (answer,) = (spec.answer for spec in judge.spec.asks if spec.name == ask.kind.name)
        title.append(f"   {form_of(answer)}", "default")
    budget = _sampling(judge.sampling.model_copy(update=ask.kind.sampling.model_dump(exclude_none=True)))
    if ask.kind.one_token:
        budget = "one token"
    messages = [line for message in ask.prompt.messages for line in _message(message)]
    return Group(title, Text(f"  {budget}", "dim"), Padding(Group(*messages), (0, 0, 1, 2)))


def _message(message: Message) -> Iterator[Text]:
    yield Text(f"{message.role}:", "magenta")
    for part in message.parts:
        if isinstance(part, ImageSlot):
            yield Text(f"[image: {part.value}]", "green")
        else:
            yield Text("\n".join(map(printable, part.split("\n"))))


def _facts(judge: Judge) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    subscores = [
        f"{name} ({judge.categories[name].value})"
        for name in judge.subscore_names
        if name in judge.categories
    ]
    subscores += [name for name in judge.subscore_names if name not in judge.categories]
    facts = {
        "reward": reward_of(judge),
        "score": judge.spec.score or "" if isinstance(judge, WrittenJudge) else "",
        "subscores": ", ".join(subscores),
        "principles": "needed" if judge.needs_principles else "none are taken",
        "sources": "one" if judge.max_sources == 1 else f"up to {judge.max_sources}",
        "samples": str(judge.passes),
        "longest side": "" if judge.pictures.max_side is None else f"{judge.pictures.max_side} pixels",
        "pixel budget": str(judge.pictures.pixel_budget or ""),
        "candidates": "in the source's size" if judge.pictures.candidate == "source_size" else "",
        "chat template": "" if judge.chat_template is None else "its own",
        "thinking": ""
        if judge.thinking is None
        else "on"
        if judge.thinking.enabled
        else "off unless asked for",
    }
    for name, value in facts.items():
        if value:
            table.add_row(name, Text(printable(value)))
    return table


def _sampling(sampling: Sampling) -> str:
    given = sampling.model_dump(exclude_none=True)
    return ", ".join(f"{name} {value:g}" for name, value in given.items()) or "sampling of the checkpoint"
