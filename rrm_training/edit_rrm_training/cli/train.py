"""`edit-rrm-train sft` and `gcpo`: the commands that train an RRM."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel
from rich.table import Table

from edit_rrm.settings_files import settings_rows
from edit_rrm_training.cli.terminal import console
from edit_rrm_training.errors import TrainingError
from edit_rrm_training.runs.settings import (
    GcpoConfig,
    RunSettings,
    SftConfig,
    load_config,
    parse_assignments,
)

S = TypeVar("S", bound=RunSettings)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML, JSON or TOML file of settings; --set goes before it.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting; repeat it. A dot reaches into a section."),
]
SettingsFlag = Annotated[bool, typer.Option("--settings", help="List every setting with its default.")]


def add_training_commands(app: typer.Typer) -> None:
    """Registers this module's commands."""
    for command in (sft, gcpo):
        app.command()(command)


def sft(config: ConfigOption = None, set_: SetOption = None, settings: SettingsFlag = False) -> None:
    """Cold-start SFT: teach a base model to write traces, from rows of the data pipeline.

    Settings come from --config and --set; every one is listed by --settings. Safe to kill: the same command
    continues. Leaves OUT/final, which edit-rrm-server serves.

        edit-rrm-train sft --set base=runs/base-m/base --set rows=\\[rows.jsonl] --set out=runs/sft \\
            --set steps=2000 --set dtype=float32

    On several GPUs:

        accelerate launch --config_file rrm_training/configs/accelerate/fsdp.yaml \\
            -m edit_rrm_training.cli sft --config rrm_training/configs/sft_7b_full.yaml
    """

    def run(given: SftConfig) -> Path | None:
        from edit_rrm_training.sft.run import run_sft

        return run_sft(given, on_log=_line(given.steps, ("loss", "mean_token_accuracy", "eval_loss")))

    _run(SftConfig, config, set_, settings, run)


def gcpo(config: ConfigOption = None, set_: SetOption = None, settings: SettingsFlag = False) -> None:
    """GCPO: sharpen an SFT checkpoint's scores on preference pairs.

    For each pair, N traces an image are drawn; a trace earns the share of the other image's traces that its
    score lies on the right side of. Settings, resuming and launching are as for sft.

        edit-rrm-train gcpo --set base=runs/sft/final --set pairs=pairs.jsonl --set out=runs/gcpo \\
            --set steps=300 --set validation_pairs=validation.jsonl --set eval_every=50
    """

    def run(given: GcpoConfig) -> Path | None:
        from edit_rrm_training.gcpo.run import run_gcpo

        shown = ("gcpo/reward", "gcpo/unparsed", "gcpo/no_gradient", "gcpo/trace_tokens", "eval_accuracy")
        return run_gcpo(given, on_log=_line(given.steps, shown), say=console.print)

    _run(GcpoConfig, config, set_, settings, run)


def _run(
    kind: type[S],
    file: Path | None,
    assignments: list[str] | None,
    only_list: bool,
    run: Callable[[S], Path | None],
) -> None:
    if only_list:
        console.print(_table(kind))
        return
    try:
        final = run(load_config(kind, file, parse_assignments(assignments or [])))
    except TrainingError as error:
        raise typer.BadParameter(str(error)) from None
    console.print(f"finished: {final}")


def _line(steps: int, shown: tuple[str, ...]) -> Callable[[int, Mapping[str, float]], None]:
    """Prints a line of progress for each line of the log."""

    def on_log(step: int, values: Mapping[str, float]) -> None:
        found = " ".join(f"{name.rpartition('/')[2]} {values[name]:.4g}" for name in shown if name in values)
        console.print(f"{step} of {steps}: {found}")

    return on_log


def _table(kind: type[BaseModel]) -> Table:
    table = Table("setting", "default", "what it is", title=f"Settings of {kind.__name__}")
    for name, default, text in settings_rows(kind):
        table.add_row(name, default, text)
    return table
