"""Puts a run together: settings, processes, policy, service, checkpoint; then hands over to the trainer."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, InitProcessGroupKwargs, broadcast, gather_object, set_seed

from edit_grpo.algorithms.algorithm import algorithm_of
from edit_grpo.algorithms.averages import MovingAverage
from edit_grpo.data.edits import Edit, read_edits
from edit_grpo.errors import SettingsError
from edit_grpo.policies.errors import PolicyError
from edit_grpo.policies.policy import EditPolicy, check_source_count
from edit_grpo.reward.scoring import GroupScorer, OnWait
from edit_grpo.reward.settings import RewardSettings
from edit_grpo.run.checkpointing import Progress, TrainingState, load_checkpoint, newest_checkpoint
from edit_grpo.run.collector import Collector
from edit_grpo.run.conditions import Conditions
from edit_grpo.run.grids import Grids
from edit_grpo.run.run_log import STEP, UpdateLog
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.settings_file import check_resumable, load_settings, write_settings
from edit_grpo.run.stopping import StopRequest
from edit_grpo.run.trainer import EditTrainer, Ending
from edit_grpo.run.update import Updater
from edit_rrm.boards import WandbBoard, check_wandb, start_wandb
from edit_rrm.errors import BoardError
from edit_rrm_client import AsyncRewardClient, RetryPolicy

SETTINGS_FILE = "settings.yaml"
LoadPolicy = Callable[[TrainSettings, torch.device], EditPolicy]
Check = Callable[[int], None]
_COLLECTIVE_SLACK_S = 1800.0  # what processes may lie apart beside waiting for the service


def load_policy(settings: TrainSettings, device: torch.device) -> EditPolicy:
    """The editor that the settings name. The one place that knows where policies come from.

    Raises SettingsError for what no policy can be made of.
    """
    # diffusers takes seconds to import, and a test brings its own policy
    from edit_grpo.policies import loading

    try:
        return loading.load_policy(settings.policy, device, keep_reference=settings.algorithm.needs_reference)
    except PolicyError as error:
        raise SettingsError(f"policy: {error}") from error


def connect(settings: RewardSettings) -> AsyncRewardClient:
    """The client that scores a run's groups."""
    return AsyncRewardClient(
        settings.urls,
        api_key=os.environ.get(settings.api_key_env),
        timeout_s=settings.deadline_s,
        encoding=settings.encoding,
        retries=RetryPolicy(attempts=settings.attempts),
    )


@dataclass(frozen=True)
class Parts:
    """What a run is made of; a test puts its own in a place."""

    load_policy: LoadPolicy = load_policy
    connect: Callable[[RewardSettings], AsyncRewardClient] = connect


DEFAULT_PARTS = Parts()


def run_training(
    settings: TrainSettings, check: Check = lambda most_sources: None, parts: Parts = DEFAULT_PARTS
) -> Ending:
    """Trains, or goes on with the run that `settings.out` holds.

    `check` is called in the first process before anything large is loaded, with the most sources that an edit
    has; what it raises ends the run in every process. Raises EditTrainingError and EditRRMClientError.
    """
    accelerator = accelerator_for(settings)
    edits, held_out = read_data(settings, accelerator.num_processes)
    most_sources = max(len(edit.sources) for edit in (*edits, *held_out))
    _first_process_alone(
        accelerator, lambda: _check_boards(settings), lambda: check(most_sources), lambda: _claim(settings)
    )
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        set_seed(settings.seed)
        policy = parts.load_policy(settings, accelerator.device)
        for edit in (*edits, *held_out):
            check_source_count(policy.max_sources, len(edit.sources), f"edit {edit.id}")
        policy.module.eval()  # no dropout: rollout and update must agree
        parameters = policy.trainable()
        broadcast([parameter.data for parameter in parameters])
        algorithm = algorithm_of(policy, settings.algorithm, settings.sampling)
        updater = Updater(
            accelerator, parameters, algorithm, settings.optimizer, settings.sampling.micro_batch
        )
        ema = None if settings.optimizer.ema is None else MovingAverage(parameters)
        averages = algorithm.averages if ema is None else {**algorithm.averages, "ema": ema}
        state = TrainingState(parameters, updater.optimizer, averages)
        checkpoint = newest_checkpoint(settings.out)
        progress = Progress() if checkpoint is None else load_checkpoint(checkpoint, state)
        log = None
        if accelerator.is_main_process:
            boards = _boards(settings)
            log = UpdateLog(settings.out, progress.update, settings.updates, boards=boards)
            stack.push(_closing(log))  # before the scorer, whose thread may have something to tell to its end
            for board in boards:
                log.event("board", board.where)
            if checkpoint is not None:
                log.event("resumed", str(checkpoint))
        scorer = stack.enter_context(
            GroupScorer(
                lambda: parts.connect(settings.reward), settings.reward, _waiting(log, settings.reward)
            )
        )
        conditions = Conditions(policy, settings.data.cache_mib)
        grids = None
        if settings.grid_every is not None and accelerator.is_main_process:
            grids = Grids(
                settings.out, policy, scorer, held_out, conditions, steps=settings.sampling.steps,
                seed=settings.seed, stop=stop,
            )  # fmt: skip
        collector = Collector(settings, policy, algorithm, scorer, edits, conditions, stop=stop)
        trainer = EditTrainer(
            settings,
            policy,
            state,
            algorithm,
            collector,
            updater,
            accelerator,
            log,
            grids,
            ema,
            progress,
            stop,
        )
        try:
            ending = trainer.run()
        except Exception as error:
            if log is not None:
                log.event("failed", str(error))
            raise
        if log is not None:
            log.event(ending, f"{trainer.progress.update} of {settings.updates} updates are done")
        return ending


def accelerator_for(settings: TrainSettings) -> Accelerator:
    """The processes of this run. Their collectives outlast the patience with the reward service."""
    timeout = timedelta(seconds=settings.reward.patience_s + settings.reward.deadline_s + _COLLECTIVE_SLACK_S)
    accelerator = Accelerator(kwargs_handlers=[InitProcessGroupKwargs(timeout=timeout)])
    if accelerator.distributed_type not in (
        DistributedType.NO,
        DistributedType.MULTI_GPU,
        DistributedType.MULTI_CPU,
    ):
        raise SettingsError(
            f"this trainer holds the whole model in every process; {accelerator.distributed_type.value} does "
            "not: launch it with plain multi-GPU, and train a large editor by policy.lora"
        )
    return accelerator


def read_data(settings: TrainSettings, processes: int) -> tuple[list[Edit], list[Edit]]:
    """The edits to train on and those of the grids. Raises SettingsError and EditRowError."""
    share = processes * settings.optimizer.minibatches
    if settings.sampling.groups % share:
        raise SettingsError(
            f"sampling.groups ({settings.sampling.groups}) must be a multiple of {processes} processes × "
            f"optimizer.minibatches ({settings.optimizer.minibatches})"
        )
    edits, held_out = _kept_apart(read_edits(settings.data.edits), settings.data.held_out)
    for edit in (*edits, *held_out) if settings.reward.principles == "file" else ():
        if edit.principles is None:
            raise SettingsError(f"reward.principles is file, but edit {edit.id} has no principles")
    return edits, held_out[: settings.grid_edits]


def _kept_apart(edits: list[Edit], held_out: Path | int | None) -> tuple[list[Edit], list[Edit]]:
    if held_out is None:
        return edits, []
    if isinstance(held_out, Path):
        return edits, read_edits([held_out])
    if held_out >= len(edits):
        raise SettingsError(
            f"data.held_out keeps {held_out} of {len(edits)} edits apart: none is left to train on"
        )
    return edits[:-held_out], edits[-held_out:]


def _closing(log: UpdateLog) -> Callable[..., None]:
    def close(kind: type[BaseException] | None, *_: object) -> None:
        log.close(failed=kind is not None)

    return close


def _check_boards(settings: TrainSettings) -> None:
    """Raises SettingsError where Weights & Biases cannot be had."""
    if settings.wandb is None:
        return
    try:
        check_wandb(settings.wandb)
    except BoardError as error:
        raise SettingsError(f"wandb: {error}") from error


def _boards(settings: TrainSettings) -> list[WandbBoard]:
    """The boards beside TensorBoard. Raises SettingsError."""
    if settings.wandb is None:
        return []
    try:
        return [start_wandb(settings.wandb, settings.out, settings.model_dump(mode="json"), step_name=STEP)]
    except BoardError as error:
        raise SettingsError(f"wandb: {error}") from error


def _claim(settings: TrainSettings) -> None:
    """Makes the run directory this run's; one without a checkpoint is begun anew. Raises SettingsError."""
    file = settings.out / SETTINGS_FILE
    if newest_checkpoint(settings.out) is not None:
        check_resumable(load_settings(file, ()), settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    write_settings(settings, file)


def _first_process_alone(accelerator: Accelerator, *work: Callable[[], None]) -> None:
    """Work of the first process that the others wait for; what it raises, all raise."""
    error: Exception | None = None
    if accelerator.is_main_process:
        try:
            for part in work:
                part()
        except Exception as raised:
            error = raised
    errors = [each for each in gather_object([error]) if each is not None]
    if errors:
        raise errors[0]


def _waiting(log: UpdateLog | None, settings: RewardSettings) -> OnWait:
    """Says on the terminal and in the log that the service is away, and for how long that may last."""

    def tell(waited_s: float, reason: str) -> None:
        if log is not None:
            left_s = settings.patience_s - waited_s
            log.event("waiting", f"reward service away for {waited_s:.0f} s, {left_s:.0f} s left: {reason}")

    return tell
