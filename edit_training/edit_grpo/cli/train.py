"""`edit-grpo train`: the command, its exit codes, and the check of the service before a run."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from edit_grpo.errors import DivergedError, EditTrainingError, NotFitError, ServiceAwayError
from edit_grpo.reward.preflight import MIN_GROUP_SIZE, Preflight, run_preflight
from edit_grpo.reward.settings import RewardSettings
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.settings_file import load_settings
from edit_rrm.errors import SettingsFileError
from edit_rrm.presets import settings_file
from edit_rrm.quiet_libraries import quieten_loading
from edit_rrm.run_directories import FINAL
from edit_rrm.settings_files import settings_json, settings_rows
from edit_rrm.time_left import duration
from edit_rrm_client import (
    DeadlineExceededError,
    EditRRMClientError,
    OverloadedError,
    Probe,
    RetryPolicy,
    RewardClient,
    ScoringFailedError,
    UnavailableError,
)
from edit_rrm_client.tables import printable, told

PACKAGE = Path(__file__).parents[1]
EXIT_NOT_FIT = 1
EXIT_BAD_INPUT = 2
EXIT_SERVICE_AWAY = 3
EXIT_STOPPED = 4
EXIT_DIVERGED = 5


def train(
    config: Annotated[
        str | None, typer.Argument(help="YAML, JSON or TOML file of settings, or the name of a preset.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting, before the file; a dot enters a section."
        ),
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(envvar="EDIT_RRM_URL", help="Reward service, before reward.urls; repeat for several."),
    ] = None,
    preflight: Annotated[
        bool, typer.Option(help="Score one synthetic group first, and refuse to start if that fails.")
    ] = True,
    settings: Annotated[bool, typer.Option("--settings", help="List every setting and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --settings: as a JSON list.")] = False,
    config_option: Annotated[
        str | None, typer.Option("--config", metavar="CONFIG", help="The same as the argument.")
    ] = None,
) -> None:
    """Train an editor with GRPO (or DiffusionNFT) on the rewards of a running edit-rrm service.

    Try it on the shapes world, on a laptop:

        edit-rrm-server serve &

        edit-rrm-shapes generate --seed 7 --count 400 --candidates 1 --out runs/shapes

        edit-grpo train tiny_editor

    On several GPUs: `accelerate launch --multi_gpu -m edit_grpo.cli train CONFIG`.

    **A run** draws `sampling.group_size` candidates for each of `sampling.groups` edits; sends a group to the
    service while the next is drawn; learns from how the rewards differ within a group; and begins anew. OUT
    holds `settings.yaml`, `log.jsonl`, `tensorboard/`, `checkpoints/`, `grids/index.html` and, at the end,
    `final/`.

    **Safe to kill at any moment**: the same command goes on from the newest checkpoint, to the bit. Ctrl-C or
    SIGTERM finishes the update and saves first; a second one ends at once.

    **If the service is away** the run waits, says so, and after `reward.patience_s` saves and ends.

    **Exit codes**: 0 finished, 1 the service is not fit for a run, 2 wrong input, 3 the service stayed away
    (saved), 4 stopped by a signal (saved), 5 the gradient is not finite.
    """
    console = Console()
    if settings:
        if as_json:
            typer.echo(settings_json(TrainSettings))
        else:
            show_settings(console)
        return
    if config is not None and config_option is not None:
        raise typer.BadParameter("a file as an argument or as --config, not both")
    try:
        named = config or config_option
        file = None if named is None else settings_file(named, PACKAGE)
        given = _settings(file, set_ or [], url or [])
        quieten_loading()
        from edit_grpo.run.checkpointing import newest_checkpoint
        from edit_grpo.run.training_run import run_training

        begun_s = time.monotonic()
        if newest_checkpoint(given.out) is None:  # one that goes on says so itself
            _say(f"begins in {given.out}: {given.updates} updates; after a stop the same command goes on")

        def check(most_sources: int) -> None:
            if preflight:
                check_service(given, console, most_sources)

        ending = run_training(given, check)
    except (EditTrainingError, EditRRMClientError, SettingsFileError) as error:
        typer.echo(f"edit-grpo: {told(error)}", err=True)
        raise typer.Exit(exit_code(error)) from error
    if ending == "stopped":
        raise typer.Exit(EXIT_STOPPED)
    look = f"edit-grpo sample --checkpoint {given.out} --edits EDITS --out PICTURES"
    _say(f"took {duration(time.monotonic() - begun_s)}: {given.out / FINAL}\nlook at it: {look}")


def _say(text: str) -> None:
    """Of several processes the first one speaks."""
    if os.environ.get("RANK", "0") == "0":
        typer.echo(text)


def exit_code(error: Exception) -> int:
    """What the command ends with."""
    if isinstance(error, NotFitError):
        return EXIT_NOT_FIT
    if isinstance(error, ServiceAwayError):
        return EXIT_SERVICE_AWAY
    if isinstance(error, DivergedError):
        return EXIT_DIVERGED
    return EXIT_BAD_INPUT


def blocking_client(settings: RewardSettings) -> RewardClient:
    """The client that checks the service; a test puts its own in this place."""
    return RewardClient(
        settings.urls,
        api_key=os.environ.get(settings.api_key_env),
        retries=RetryPolicy(attempts=settings.attempts),
    )


def check_service(settings: TrainSettings, console: Console, most_sources: int) -> None:
    """Waits for the service, visibly, and judges it by one synthetic group and by the sources it takes.

    Raises ServiceAwayError, NotFitError, and the client's error for what waiting cannot mend.
    """
    reward = settings.reward

    def waiting(probe: Probe, waited_s: float) -> None:
        if probe.ok:
            return
        console.print(
            f"waiting for the reward service, {waited_s:.0f} of {reward.patience_s:.0f} s: "
            f"{probe.code}: {printable(probe.detail)}",
            markup=False,
        )

    with blocking_client(reward) as client:
        try:
            client.wait_until_ready(reward.patience_s, waiting, poll_s=reward.poll_s)
            report = run_preflight(
                client,
                group_size=max(MIN_GROUP_SIZE, settings.sampling.group_size),
                deadline_s=reward.deadline_s,
            )
        except (UnavailableError, OverloadedError) as error:
            raise ServiceAwayError(str(error)) from error
        except (DeadlineExceededError, ScoringFailedError) as error:
            raise NotFitError(f"the reward service cannot score a group in time: {error}") from error
    _judge(report, console, most_sources)


def _judge(report: Preflight, console: Console, most_sources: int) -> None:
    model = report.model
    console.print(
        f"reward model {printable(model.name)}@{model.weights_digest}, {report.latency_s:.2f} s a group. "
        f"{printable(model.judges)}",
        markup=False,
        highlight=False,
    )
    bad = [f"{finding.name}: {finding.detail}" for finding in report.findings if not finding.ok]
    if most_sources > model.max_sources:
        bad.append(f"sources: an edit has {most_sources}, and this judge takes {model.max_sources}")
    if bad:
        raise NotFitError(
            f"the reward service is not fit for a run: {'; '.join(bad)} (`edit-grpo preflight` shows all; "
            "--no-preflight trains all the same)"
        )


def _settings(config: Path | None, assignments: Sequence[str], urls: Sequence[str]) -> TrainSettings:
    """The file, then the addresses, then the assignments, each before the former."""
    found = [f"reward.urls=[{', '.join(urls)}]"] if urls else []
    return load_settings(config, [*found, *assignments])


def show_settings(console: Console) -> None:
    """Every setting with its default and what it does."""
    table = Table("setting", "default", "what it does")
    for name, default, text in settings_rows(TrainSettings):
        table.add_row(name, default, text)
    console.print(table)
