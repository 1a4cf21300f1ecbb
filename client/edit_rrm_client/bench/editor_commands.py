"""`edit-rrm bench gedit` and `imgedit`: an editor's published table, from what `edit-rrm score` wrote."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edit_rrm_client.bench.edited import (
    judged_by_model,
    mean_of_three,
    read_gedit,
    read_imgedit,
    semantics_and_quality,
)
from edit_rrm_client.bench.edited_means import GEDIT_KINDS, IMGEDIT_KINDS, MeanLine, lines_of
from edit_rrm_client.bulk.commands import EXIT_SOME_FAILED, reported
from edit_rrm_client.tables import printable

Results = Annotated[
    list[Path],
    typer.Argument(metavar="RESULTS...", help="What `edit-rrm score` wrote, by the benchmark's judge."),
]
Rewards = Annotated[
    list[Path] | None,
    typer.Option("--reward", help="Results of the same pictures by another judge: its mean reward beside."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the lines as JSON instead of tables.")]

_GEDIT_JUDGE = (
    "G_SC and G_PQ are of a judge with prompt_following, consistency, naturalness and artifacts, such as "
    "`edit-rrm judges import gedit` and `viescore` make"
)
_IMGEDIT_JUDGE = (
    "ImgEdit-Bench's judges give three numbers, a judge for each kind: `edit-rrm judges import imgedit-add` …"
)


@dataclass(frozen=True)
class Part:
    """One table: of a model, and for GEdit-Bench of a language and a split."""

    model: str
    language: str
    split: str
    lines: list[MeanLine]


def gedit(
    results: Results,
    edits: Annotated[Path, typer.Option(help="The dataset: its Parquet file or folder.", exists=True)],
    reward: Rewards = None,
    as_json: AsJson = False,
) -> None:
    """GEdit-Bench: G_SC, G_PQ and G_O of an editor, by kind of edit, for each language and split.

    The pictures, their scores by VIEScore's prompts and by our reward model, the table:

        edit-grpo sample --checkpoint runs/kontext --benchmark gedit --edits GEdit-Bench/data --out kontext

        edit-rrm score kontext/edits.jsonl -o viescore.parquet --guards report --url http://viescore:8000

        edit-rrm score kontext/edits.jsonl -o reward.parquet --url http://rrm:8000

        edit-rrm bench gedit viescore.parquet --edits GEdit-Bench/data --reward reward.parquet
    """
    with reported():
        known = read_gedit(edits)
        by_model = judged_by_model(results, known, semantics_and_quality, _GEDIT_JUDGE, reward or ())
        parts = []
        for model, judged in by_model.items():
            for language in sorted({one.edit.language for one in judged}):
                for split in ("full set", "intersection"):
                    some = [
                        one
                        for one in known.values()
                        if one.language == language and (split == "full set" or one.intersection)
                    ]
                    of_part = {one.id for one in some}
                    own = [one for one in judged if one.edit.id in of_part]
                    parts.append(Part(model, language, split, lines_of(own, some, GEDIT_KINDS, 3)))
        _show("GEdit-Bench", parts, ("G_SC", "G_PQ", "G_O"), 3, rewards=bool(reward), as_json=as_json)


def imgedit(
    results: Results,
    edits: Annotated[
        Path, typer.Option(help="Its JSON of edits, or the folder with singleturn.json.", exists=True)
    ],
    reward: Rewards = None,
    as_json: AsJson = False,
) -> None:
    """ImgEdit-Bench: the mean of the judge's three numbers, 1 to 5, by kind of edit.

    Each kind has a judge of its own, so each has its results:

        edit-rrm score kontext/edits.add.jsonl -o add.parquet --guards report --url http://imgedit-add:8000

        edit-rrm bench imgedit add.parquet style.parquet --edits Benchmark/singleturn
    """
    with reported():
        known = read_imgedit(edits)
        by_model = judged_by_model(results, known, mean_of_three, _IMGEDIT_JUDGE, reward or ())
        parts = [
            Part(model, "", "", lines_of(judged, known.values(), IMGEDIT_KINDS, 1))
            for model, judged in by_model.items()
        ]
        _show("ImgEdit-Bench", parts, ("score",), 2, rewards=bool(reward), as_json=as_json)


def _show(
    title: str, parts: Sequence[Part], names: tuple[str, ...], digits: int, *, rewards: bool, as_json: bool
) -> None:
    """Prints the tables; what failed or is missing goes to stderr and makes the exit code 1."""
    if as_json:
        shown = []
        for part in parts:
            about = {"model": part.model, "language": part.language, "split": part.split}
            for line in part.lines:
                values = dict(zip(names, line.values, strict=True))
                shown.append({**about, **asdict(line), "values": values})
        sys.stdout.write(json.dumps({"benchmark": title, "lines": shown}, indent=2) + "\n")
    else:
        for part in parts:
            Console().print(_table(title, part, names, digits, rewards))
    told = [lacking for part in parts for lacking in _lacking(part, rewards)]
    for lacking in told:
        typer.echo(f"edit-rrm: {lacking}", err=True)
    if told:
        raise typer.Exit(EXIT_SOME_FAILED)


def _lacking(part: Part, rewards: bool) -> Iterator[str]:
    """What a table's means are without."""
    total = part.lines[-1]
    where = ", ".join(filter(None, (printable(part.model), part.language, part.split)))
    if total.failed or total.missing:
        yield f"{where}: {total.failed} pictures failed, {total.missing} edits have none; no mean has them"
    if rewards and total.rewarded < total.count:
        yield f"{where}: {total.count - total.rewarded} of {total.count} pictures have no reward"


def _table(title: str, part: Part, names: Sequence[str], digits: int, rewards: bool) -> Table:
    about = ", ".join(filter(None, (title, part.model, part.language, part.split)))
    table = Table(title=Text(printable(about)), title_justify="left")
    table.add_column("")
    shown = (*names, "reward") if rewards else names
    for name in (*shown, "n", "failed", "missing"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in part.lines:
        numbers = [_number(value, digits) for value in line.values]
        numbers += [_number(line.reward, 3)] if rewards else []
        counts = [Text(str(count), "bold red" if count else "") for count in (line.failed, line.missing)]
        table.add_row(Text(printable(line.name)), *numbers, str(line.count), *counts)
    return table


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
