"""`edit-rrm compare` and `edit-rrm best-of`: what results files say. Needs no service."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edit_rrm_client.bulk.best_of import BestOf, Curve, best_of
from edit_rrm_client.bulk.commands import reported
from edit_rrm_client.bulk.comparison import Comparison, compare_sides, side_of
from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.rows import read_results, write_results
from edit_rrm_client.bulk.sizes import SizesOf
from edit_rrm_client.bulk.statistics import Mean, WinRate
from edit_rrm_client.tables import printable

AsJson = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of tables.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the bootstrap intervals.")]


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A results file.")],
    b: Annotated[Path | None, typer.Argument(metavar="[B]", help="Another; absent: A itself.")] = None,
    model_a: Annotated[str | None, typer.Option(help="Only this editor's rows of A.")] = None,
    model_b: Annotated[str | None, typer.Option(help="Only this editor's rows of B.")] = None,
    most: Annotated[int, typer.Option(min=0, help="How many of the most different edits to show.")] = 10,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Compare two editors on the same edits: how often B beats A, and by how much.

    Two results files, or two editors of one:

        edit-rrm compare before.parquet after.parquet

        edit-rrm compare results.parquet --model-a flux --model-b kontext

    Edits are matched by `id`; a side's value is the mean reward of its scored candidates. Ties count half in
    the win rate, whose interval is Wilson's; intervals of means are bootstrapped. All are of 95 %. An edit
    that failed on one side is left out and counted, never taken as a number.
    """
    with reported():
        if b is None and (model_a is None or model_b is None or model_a == model_b):
            raise InputError("one file compares with itself by two editors: give --model-a and --model-b")
        other = b or a
        sides = [
            side_of(read_results(path, images=False), model or path.name, model, SizesOf(path))
            for path, model in ((a, model_a), (other, model_b))
        ]
        found = compare_sides(*sides, seed=seed, most=most)
        if as_json:
            _print_json(found)
        else:
            _show_comparison(found, Console())


def best_of_n(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="A results file.")],
    n: Annotated[int, typer.Option("-n", min=1, help="Candidates of an edit to choose from.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the chosen rows here: .parquet or .jsonl.")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Choose each edit's best candidate, and see what more candidates are worth.

    edit-rrm best-of results.parquet -n 8 -o best.parquet

    Of each edit (and editor) the best of the first N candidates is written. The table shows the mean reward
    of the best of 1, 2, 4, … N: the mean over all subsets of an edit's scored candidates, which is unbiased.
    It is over edits with at least N of them; the others are counted.
    """
    with reported():
        if out is not None and out.resolve() == results.resolve():
            raise InputError(f"{out} is the results file itself; choose another output")
        found = best_of(read_results(results, images=False), n, seed=seed)
        if out is not None:
            with write_results(out) as writer:
                for row in read_results(results):
                    if row.key in found.chosen:
                        writer.write(row)
        if as_json:
            _print_json(found.curves)
        else:
            _show_curves(found, n, Console())


def _show_comparison(found: Comparison, console: Console) -> None:
    a, b = (escape(printable(name)) for name in (found.a, found.b))
    table = Table("", f"{b} beats {a}", "ties", "edits", "reward difference")
    rows = {"all": (found.win_rate, found.difference)}
    if set(found.by_category) != {""}:
        rows |= {printable(name) or "–": value for name, value in found.by_category.items()}
    for name, (rate, difference) in rows.items():
        table.add_row(Text(name), _rate(rate), str(rate.ties), str(rate.n), _mean(difference))
    console.print(table)
    aspects = Table("principles", "difference of mean verdicts", "edits")
    for name, difference in found.by_aspect.items():
        aspects.add_row(name, _mean(difference), str(difference.n))
    console.print(aspects)
    if found.most_different:
        edits = Table("most different", a, b, "difference", "instruction")
        for edit in found.most_different:
            numbers = (f"{edit.a:.3f}", f"{edit.b:.3f}", f"{edit.difference:+.3f}")
            edits.add_row(Text(printable(edit.id)), *numbers, Text(printable(edit.instruction)))
        console.print(edits)
    console.print(
        f"ties count half; {found.left_out} edits left out (scored on one side only, or on none); "
        f"failed candidates: {a} {found.failed_a}, {b} {found.failed_b}"
    )
    for name, limited in ((a, found.limited_a), (b, found.limited_b)):
        if limited:
            counts = ", ".join(f"{guard} {count}" for guard, count in sorted(limited.items()))
            console.print(f"rewards that a guard limited: {name}: {counts}")
    if found.sizes_example is not None:
        sizes = " and ".join(f"{width} × {height}" for width, height in found.sizes_example)
        console.print(
            f"[yellow]the two sides' pictures differ in size in {found.sizes_differ} of "
            f"{found.sizes_looked_at} edits (such as {sizes}): a judge may prefer the larger one for that, "
            "and a guard the one of the source's shape[/]"
        )


def _show_curves(found: BestOf, n: int, console: Console) -> None:
    table = Table("editor", "best of", "mean reward", "edits", "left out")
    for curve in found.curves:
        name = printable(curve.model) or "–"
        for count, mean in curve.points:
            table.add_row(
                Text(name), str(count), _mean(mean, sign=False), str(curve.edits), str(curve.left_out)
            )
        if not curve.points:
            table.add_row(Text(name), "–", f"no edit has {n} scored candidates", "0", str(curve.left_out))
    console.print(table)
    if found.without:
        console.print(f"{found.without} edits have no scored candidate to choose")


def _rate(rate: WinRate) -> str:
    return f"{rate.rate:.1%} [{rate.interval.low:.1%}, {rate.interval.high:.1%}]".replace("[", r"\[")


def _mean(mean: Mean, *, sign: bool = True) -> str:
    form = "+.3f" if sign else ".3f"
    return rf"{mean.value:{form}} \[{mean.interval.low:{form}}, {mean.interval.high:{form}}]"


def _print_json(found: Comparison | tuple[Curve, ...]) -> None:
    adapter = TypeAdapter[Any](Comparison | tuple[Curve, ...])
    sys.stdout.write(adapter.dump_json(found, indent=2).decode() + "\n")
