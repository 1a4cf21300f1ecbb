"""`edit-rrm judges`: arguments in, tables and files out. Everything else is in edit_rrm.judges."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from edit_rrm.errors import EditRRMError, JudgeError, TraceError
from edit_rrm.judges.advice import advice
from edit_rrm.judges.importing import IMPORTERS, import_judge
from edit_rrm.judges.shelf import find_judge, judge_names
from edit_rrm.judges.spec import FILE_STEM, JudgeSpec
from edit_rrm.judges.toml_text import judge_toml
from edit_rrm_client.judges.trying import sample_answers, try_answers
from edit_rrm_client.judges.views import importers_table, judge_view, judges_table, tried_view
from edit_rrm_client.tables import printable

EXIT_UNREAD = 1
EXIT_BAD_INPUT = 2

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Judges: how a checkpoint is asked, and how its answers become numbers.

A judge is a file (docs/judges.md). The service takes one by `--judge NAME|FILE`, or finds `judge.toml` beside
the weights. Nothing here asks a service.""",
)

Wanted = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A judge's name, or its file.")]


@app.command("list")
def list_judges(
    as_json: Annotated[bool, typer.Option("--json", help="Print their names and versions as JSON.")] = False,
) -> None:
    """The judges that are here, ours and those of installed packages, and those that can be imported."""
    with _reported():
        console, judges = Console(), []
        for name in judge_names():
            try:
                judges.append(find_judge(name))
            except EditRRMError as error:  # of another package: it hides no other
                typer.echo(f"edit-rrm: {name}: {printable(str(error))}", err=True)
        if as_json:
            listed = [{"name": each.name, "version": each.version} for each in judges]
            typer.echo(json.dumps({"judges": listed, "importable": sorted(IMPORTERS)}, indent=2))
            return
        console.print(judges_table(judges))
        console.print(importers_table(IMPORTERS.items()))


@app.command()
def show(wanted: Wanted) -> None:
    """What would be sent for a sample edit: every message with its images' places, budgets, and the reward.

    edit-rrm judges show three_scores
    edit-rrm judges show checkpoint/judge.toml
    """
    with _reported():
        Console().print(judge_view(find_judge(wanted)))


@app.command()
def check(
    wanted: Wanted,
    answers: Annotated[
        list[str] | None,
        typer.Option(
            "--answer",
            metavar="[ASK=]TEXT|FILE",
            help="What a model might answer, for each ask one; of a one-token form, the token.",
        ),
    ] = None,
) -> None:
    """Check a judge file, say what is worth knowing, and read sample answers.

        edit-rrm judges check judge.toml --answer '{"reasoning": "fine", "score": [8, 9, 7]}'

    Of several asks by name, or in their order:

        edit-rrm judges check judge.toml --answer semantics=first.txt --answer quality=second.txt

    Exit code 1: an answer could not be read; 2: the file is no judge.
    """
    with _reported():
        judge = find_judge(wanted)
        console = Console()
        console.print(Text(printable(f"{judge.name} {judge.version}".strip() + ": a judge")))
        for sentence in advice(judge):
            console.print(Text.assemble(("note: ", "yellow"), printable(sentence)))
        if answers:
            console.print(tried_view(try_answers(judge, sample_answers(judge, answers))))


@app.command("import")
def import_file(
    name: Annotated[str, typer.Argument(help="One of those that `edit-rrm judges list` can import.")],
    source: Annotated[
        Path, typer.Option("--from", metavar="PATH", help="Your checkout or package of that project.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The file, .toml or .json, or the checkpoint's folder. [default: standard output]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Make a judge file of another project's own prompts.

    Their texts are read out of your copy and stand nowhere else. Nothing of theirs is run:

        git clone https://github.com/VectorSpaceLab/EditScore
        edit-rrm judges import editscore --from EditScore --out my-editscore/
    """
    with _reported():
        spec = import_judge(name, source)
        if out is None:
            typer.echo(judge_toml(spec), nl=False)
            return
        file = out / f"{FILE_STEM}.toml" if out.is_dir() else out
        _write(file, spec, force)
        typer.echo(f"{file}: {spec.name} {spec.version}")
        for sentence in advice(find_judge(str(file))):
            typer.echo(f"note: {printable(sentence)}", err=True)


def _write(file: Path, spec: JudgeSpec, force: bool) -> None:
    if file.suffix not in (".toml", ".json"):
        raise JudgeError(f"a judge is written as .toml or .json, got {file.name}")
    if file.exists() and not force:
        raise JudgeError(f"{file} is there already; --force replaces it")
    said = spec.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    text = (
        judge_toml(spec) if file.suffix == ".toml" else json.dumps(said, ensure_ascii=False, indent=2) + "\n"
    )
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise JudgeError(f"cannot write {file}: {error}") from error


@contextmanager
def _reported() -> Iterator[None]:
    """Turns errors into one line on stderr and the exit code that fits."""
    try:
        yield
    except TraceError as error:
        typer.echo(f"edit-rrm: the answer cannot be read: {printable(str(error))}", err=True)
        raise typer.Exit(EXIT_UNREAD) from error
    except EditRRMError as error:
        typer.echo(f"edit-rrm: {printable(str(error))}", err=True)
        raise typer.Exit(EXIT_BAD_INPUT) from error
