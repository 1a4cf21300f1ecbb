"""`edit-rrm-train sft` and `gcpo`: the commands that train an RRM."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel
from rich.table import Table

from edit_rrm.errors import SettingsFileError
from edit_rrm.presets import settings_file
from edit_rrm.quiet_libraries import quieten_loading
from edit_rrm.run_log import FILE_NAME
from edit_rrm.settings_files import settings_json, settings_rows
from edit_rrm_training.cli.story import RunStory
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

PACKAGE = Path(__file__).parents[1]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config", help="YAML, JSON or TOML file of settings, or the name of a preset; --set goes before it."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting; repeat it. A dot reaches into a section."),
]
SettingsFlag = Annotated[bool, typer.Option("--settings", help="List every setting with its default.")]

JsonFlag = Annotated[bool, typer.Option("--json", help="With --settings: as a JSON list.")]


def add_training_commands(app: typer.Typer) -> None:
    """Registers this module's commands."""
    for command in (sft, gcpo):
        app.command()(command)


def sft(
    config: ConfigOption = None,
    set_: SetOption = None,
    settings: SettingsFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Cold-start SFT: teach a base model to write traces, from rows of the data pipeline.

    Settings come from --config and --set; every one is listed by --settings. Safe to kill: the same command
    continues. Leaves OUT/final, which edit-rrm-server serves.

        edit-rrm-train sft --set base=runs/base-m/base --set rows=[rows.jsonl] --set out=runs/sft \\
            --set steps=2000 --set dtype=float32

    On several GPUs:

        accelerate launch --config_file rrm_training/configs/accelerate/fsdp.yaml \\
            -m edit_rrm_training.cli sft --config sft_7b_full
    """

    def run(given: SftConfig, story: RunStory) -> Path | None:
        from edit_rrm_training.sft.run import run_sft

        shown = ("loss", "mean_token_accuracy", "eval_loss")
        return run_sft(given, on_log=lambda step, values: story.step(step, values, shown), say=_say)

    _run(SftConfig, config, set_, settings, as_json, run)


def gcpo(
    config: ConfigOption = None,
    set_: SetOption = None,
    settings: SettingsFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """GCPO: sharpen an SFT checkpoint's scores on preference pairs.

    For each pair, N traces an image are drawn; a trace earns the share of the other image's traces that its
    score lies on the right side of. Settings, resuming and launching are as for sft.

        edit-rrm-train gcpo --set base=runs/sft/final --set pairs=pairs.jsonl --set out=runs/gcpo \\
            --set steps=300 --set validation_pairs=validation.jsonl --set eval_every=50
    """

    def run(given: GcpoConfig, story: RunStory) -> Path | None:
        from edit_rrm_training.gcpo.run import run_gcpo

        shown = ("gcpo/reward", "gcpo/unparsed", "gcpo/no_gradient", "gcpo/trace_tokens", "eval_accuracy")
        return run_gcpo(given, on_log=lambda step, values: story.step(step, values, shown), say=_say)

    _run(GcpoConfig, config, set_, settings, as_json, run)


def _run(
    kind: type[S],
    named: str | None,
    assignments: list[str] | None,
    only_list: bool,
    as_json: bool,
    run: Callable[[S, RunStory], Path | None],
) -> None:
    if only_list and as_json:
        typer.echo(settings_json(kind))
        return
    if only_list:
        console.print(_table(kind))
        return
    try:
        file = None if named is None else settings_file(named, PACKAGE)
        given = load_config(kind, file, parse_assignments(assignments or []))
        quieten_loading()
        from edit_rrm_training.gcpo.no_gradient import no_step_had_gradient
        from edit_rrm_training.runs.run_directory import check_directory, is_finished, last_checkpoint

        check_directory(given)
        story = RunStory(given, _say)
        finished = is_finished(given)
        story.begins(last_checkpoint(given.out), finished=finished)
        final = run(given, story)
    except (TrainingError, SettingsFileError) as error:
        raise typer.BadParameter(str(error)) from None
    if final is not None and no_step_had_gradient(given.out / FILE_NAME):
        story.taught_nothing()
    elif final is not None and not finished:
        story.ends(final)


def _say(text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _table(kind: type[BaseModel]) -> Table:
    table = Table("setting", "default", "what it is", title=f"Settings of {kind.__name__}")
    for name, default, text in settings_rows(kind):
        table.add_row(name, default, text)
    return table
