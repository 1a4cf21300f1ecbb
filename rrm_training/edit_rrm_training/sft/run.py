"""One SFT run from its settings: the base, the rows, TRL's arguments, the end (docs/paper.md, Stage 1).

Full or with adapters. The loss counts completions alone. No packing and no cutting: image tokens must stay
with their images.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset
from trl import SFTConfig as TrlSftConfig

from edit_rrm import plugins
from edit_rrm.checkpoint import RRMCard, SamplingDefaults
from edit_rrm.errors import PluginError
from edit_rrm.judges import TrainedProfile
from edit_rrm.run_directories import FINAL
from edit_rrm.whole_files import write_whole
from edit_rrm_training.data.row_store import counts, digest, store_rows
from edit_rrm_training.data.shards import all_shards
from edit_rrm_training.data.trl_rows import sft_dataset
from edit_rrm_training.errors import RowError, SettingsError
from edit_rrm_training.runs.checkpoints import Base, load_base, lora_config
from edit_rrm_training.runs.logs import LogsRun, OnLog, OnSay, check_boards
from edit_rrm_training.runs.run_directory import check_directory, claim_directory, is_finished
from edit_rrm_training.runs.settings import SftConfig
from edit_rrm_training.runs.training_run import (
    optimizers_of,
    train,
    training_arguments,
)
from edit_rrm_training.sft.samples import WritesSamples
from edit_rrm_training.sft.trainer import RrmSftTrainer, Weigher, WeightedCollator, WeightedSftTrainer

_DIGEST = "rows.sha256"
_STORE = "rows"  # in the run directory, as long as the run takes
_READING_S = 4 * 3600  # others wait while one process reads the rows: millions, with pictures in them


def sft_arguments(config: SftConfig) -> TrlSftConfig:
    """TRL's arguments for a run."""
    return TrlSftConfig(
        **training_arguments(config),
        gradient_accumulation_steps=config.accumulate,
        max_length=None,
        packing=False,
        completion_only_loss=True,
        per_device_eval_batch_size=config.batch_per_device,
        eval_strategy="steps" if config.validation_rows else "no",
        eval_steps=config.eval_every or config.save_steps,
        ddp_timeout=_READING_S,
    )


def run_sft(
    config: SftConfig,
    *,
    on_log: OnLog = lambda step, values: None,
    say: OnSay = print,
    stop_after: int | None = None,
) -> Path | None:
    """Trains, or goes on training, and returns the finished checkpoint; None when `stop_after` ended it.

    A run that has done as many steps as are asked returns at once. Raises SettingsError, RowError.
    """
    final = config.out / FINAL
    arguments = sft_arguments(config)
    check_directory(config)
    if is_finished(config):
        return final
    if arguments.should_save:  # the first process, which keeps the logs
        check_boards(config)
    files = _shards("rows", config.rows)
    validation_files = _shards("validation_rows", config.validation_rows)
    base = load_base(config)
    with arguments.main_process_first(desc="rows"):
        claim_directory(config)
        stored = _the_same(
            store_rows(files, config.out / _STORE, on_count=lambda count: say(f"{count} rows are read")),
            config,
        )
        validation = _first(validation_files, config) if validation_files else None
    card = _card(config, base, stored)
    weigher = _weigher(config, base)
    weighted = {} if weigher is None else {"data_collator": WeightedCollator(base.processor, weigher)}
    rows = sft_dataset(stored, TrainedProfile(), card.scale)
    held_out = validation and sft_dataset(validation, TrainedProfile(), card.scale)
    logs = LogsRun(config, on_log, say)
    trainer = (RrmSftTrainer if weigher is None else WeightedSftTrainer)(
        base.model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=held_out,
        processing_class=base.processor,
        peft_config=lora_config(config),
        optimizers=optimizers_of(config, base.model),
        callbacks=[logs],
        **weighted,
    )
    logs.samples = WritesSamples(
        held_out or rows, base.processor, config.max_trace_tokens, bfloat16=arguments.bf16,
        sharded=trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled,
    )  # fmt: skip
    with logs:
        finished = train(trainer, config, card, stop_after=stop_after)
    if not finished:
        return None
    if arguments.should_save:
        shutil.rmtree(config.out / _STORE)
    return final


def _the_same(stored: Dataset, config: SftConfig) -> Dataset:
    """The rows, if they are those that the run was begun with: with others it would not go on, but begin anew
    in the middle. Raises SettingsError."""
    file = config.out / _DIGEST
    found = digest(stored)
    if not file.exists():
        write_whole(file, found)
    elif file.read_text(encoding="utf-8") != found:
        raise SettingsError(
            f"rows: not those that the run in {config.out} was begun with; choose another out"
        )
    return stored


def _first(files: Sequence[Path], config: SftConfig) -> Dataset:
    """The validation rows that are measured."""
    stored = store_rows(files, config.out / _STORE)
    return stored.select(range(min(config.validation_count, len(stored))))


def _shards(setting: str, places: Sequence[Path]) -> tuple[Path, ...]:
    try:
        return all_shards(places)
    except RowError as error:
        raise SettingsError(f"{setting}: {error}") from error


def _weigher(config: SftConfig, base: Base) -> Weigher | None:
    if config.token_weights is None:
        return None
    try:
        made: Weigher = plugins.load("edit_rrm_training.token_weights", config.token_weights)(base.processor)
    except PluginError as error:
        raise SettingsError(f"token_weights: {error}") from error
    return made


def _card(config: SftConfig, base: Base, stored: Dataset) -> RRMCard:
    return RRMCard(
        name=config.name,
        profile="trained",
        trace_format="1",
        sampling=SamplingDefaults(max_tokens=config.max_trace_tokens),
        max_image_side=config.max_image_side or base.card.max_image_side,
        pixel_budget=base.card.pixel_budget,
        patch=base.card.patch,
        judges=config.judges or base.card.judges,
        training={
            "stage": "sft",
            "rows": dict(sorted(counts(stored, "task").items())),
            "settings": config.model_dump(mode="json", exclude={"base", "out"}),
            "base": {"name": base.card.name, "training": base.card.training},
        },
    )
