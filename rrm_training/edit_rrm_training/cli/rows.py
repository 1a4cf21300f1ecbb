"""`edit-rrm-train rows`: the SFT set, from the pipeline's files or from anyone's."""

from collections.abc import Iterable
from math import ceil, isclose
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer
from rich.progress import TaskID
from rich.table import Table

from edit_rrm.errors import EditRRMError
from edit_rrm_training.cli.terminal import console, failed, progress_bars, writable_folder
from edit_rrm_training.data.row_shards import ShardFormat
from edit_rrm_training.data.sft_rows import SftTask
from edit_rrm_training.errors import TrainingError

if TYPE_CHECKING:
    from edit_rrm_training.pipeline.mixing import MixReport

TASKS = get_args(SftTask)
_ROWS_A_STEP = 128  # 8 GPUs, 4 rows a forward pass, 4 of them a step: rrm_training/configs


def rows(
    from_: Annotated[
        list[Path],
        typer.Option(
            "--from",
            metavar="PLACE",
            help="Folder of the pipeline, or a file, folder or pattern of rows (JSONL, Parquet, tar, a "
            "folder of `datasets`). Repeat it.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write shards to.", callback=writable_folder)],
    variant: Annotated[
        Literal["think", "verify", "think+verify", "score-only"],
        typer.Option(help="Which of the pipeline's rows; the paper's full recipe is think+verify."),
    ] = "think+verify",
    share: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=SHARE",
            help="Share of a task (verify, decompose, score_only), 1 in all; repeat it. The scarcest is "
            "taken whole, no row twice. Without any: all rows as they are.",
        ),
    ] = None,
    validation: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share of the edits held out, into OUT/validation.")
    ] = 0.0,
    count: Annotated[int | None, typer.Option(min=1, help="At most so many rows to train on.")] = None,
    kind: Annotated[ShardFormat, typer.Option("--format", help="Of the shards.")] = "parquet",
    shard_rows: Annotated[int, typer.Option(min=1, help="Rows of a shard.")] = 50_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the order and of what is left out.")] = 0,
    bad_rows: Annotated[
        int | None, typer.Option(min=0, help="Bad rows that may be left out; any number without it.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="The same as --bad-rows 0.")] = False,
    check_pictures: Annotated[
        bool, typer.Option(help="Whether a row whose picture is nowhere is a bad row.")
    ] = True,
) -> None:
    """Make the set that SFT learns from: verifications and decompositions, mixed, shuffled, in shards.

    Each row is checked, also that its completion is what the served checkpoint may write. Bad rows are left
    out and stand in OUT/refused.ndjson by file and line. Safe to kill: the same command continues.

        edit-rrm-train rows --from runs/data --out data/sft --validation 0.01 \\
            --share verify=0.8 --share decompose=0.2

    Rows of your own need no completion: `instruction`, `source`, `candidate`, `principles`, `verdicts`,
    `score` and, if there is any, `evidence` will do (docs/rrm-data.md, The training set).
    """
    from datasets import disable_progress_bars

    from edit_rrm_training.pipeline.mixing import MixSettings, files_of, write_mix
    from edit_rrm_training.pipeline.select import Variant

    settings = MixSettings(
        shares=_shares(share or ()), validation=validation, count=count, seed=seed, kind=kind,
        shard_rows=shard_rows, bad_rows=0 if strict else bad_rows, check_pictures=check_pictures,
    )  # fmt: skip
    disable_progress_bars()
    try:
        with progress_bars() as bars:
            work: dict[str, TaskID] = {}

            def on_done(name: str, done: int, of: int | None) -> None:
                if name not in work:
                    work[name] = bars.add_task(name, total=None)
                bars.update(work[name], advance=done, total=of)

            report = write_mix(files_of(from_, Variant(variant)), out, settings, on_done)
    except (TrainingError, EditRRMError, OSError) as error:
        raise failed(error) from error
    _say(report, out)


def _shares(texts: Iterable[str]) -> dict[str, float]:
    shares = {}
    for text in texts:
        task, _, share = text.partition("=")
        try:
            shares[task] = float(share)
        except ValueError:
            raise typer.BadParameter(f"expected TASK=SHARE, got {text!r}", param_hint="--share") from None
        if task not in TASKS or not 0.0 <= shares[task] <= 1.0:
            problem = f"expected a share from 0 to 1 of one of {', '.join(TASKS)}, got {text!r}"
            raise typer.BadParameter(problem, param_hint="--share")
    if shares and not isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
        problem = f"the shares make {sum(shares.values()):g}, not 1"
        raise typer.BadParameter(problem, param_hint="--share")
    return shares


def _say(report: "MixReport", out: Path) -> None:
    """What the set holds, and what to do with it."""
    tasks = [task for task in TASKS if task in report.train or task in report.validation]
    sides = [("", report.train), (", held out", report.validation)][: 2 if report.validation else 1]
    columns = [(f"{task}{side}", found.get(task, {})) for task in tasks for side, found in sides]
    table = Table("category", *(name for name, _ in columns), title=f"{report.rows} rows in {out}")
    for category in sorted({category for _, found in columns for category in found}):
        table.add_row(category or "–", *(str(found.get(category, 0)) for _, found in columns))
    table.add_section()
    table.add_row("all", *(str(sum(found.values())) for _, found in columns))
    console.print(table)
    for what, found in (
        ("not used, for the shares or the count", report.unused),
        ("equal to an earlier row", report.repeated),
        (f"refused ({out / 'refused.ndjson'})", report.refused),
    ):
        if found:
            named = "; ".join(f"{name} {count}" for name, count in found.items())
            console.print(f"{sum(found.values())} {what}: {named}", markup=False, soft_wrap=True)
    if not report.rows:
        raise failed("no row is left to train on")
    held_out = f" --set validation_rows=[{out / 'validation'}]" if report.validation else ""
    console.print(
        f"next ({ceil(report.rows / _ROWS_A_STEP)} steps of {_ROWS_A_STEP} rows are one epoch):\n"
        f"  edit-rrm-train sft --config sft_7b_lora --set rows=[{out}]{held_out}",
        markup=False, soft_wrap=True,
    )  # fmt: skip
