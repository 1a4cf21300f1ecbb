"""One SFT run from its settings: the base, the rows, TRL's arguments, the end (docs/paper.md, Stage 1).

Full or with adapters. The loss counts completions alone. No packing and no cutting: image tokens must stay
with their images.
"""

from pathlib import Path

from trl import SFTConfig as TrlSftConfig

from edit_rrm import plugins
from edit_rrm.checkpoint import RRMCard, SamplingDefaults
from edit_rrm.errors import PluginError
from edit_rrm.judges import TrainedProfile
from edit_rrm_training.data.sft_rows import SftRow, read_sft_rows
from edit_rrm_training.data.trl_rows import sft_dataset
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs.checkpoints import Base, is_whole, load_base, lora_config
from edit_rrm_training.runs.settings import SftConfig
from edit_rrm_training.runs.training_run import (
    FINAL,
    LogsRun,
    OnLog,
    check_directory,
    claim_directory,
    optimizers_of,
    require_files,
    train,
    training_arguments,
)
from edit_rrm_training.sft.trainer import RrmSftTrainer, Weigher, WeightedCollator, WeightedSftTrainer


def sft_arguments(config: SftConfig) -> TrlSftConfig:
    """TRL's arguments for a run."""
    return TrlSftConfig(
        **training_arguments(config),
        gradient_accumulation_steps=config.accumulate,
        max_length=None,
        packing=False,
        completion_only_loss=True,
    )


def run_sft(
    config: SftConfig, *, on_log: OnLog = lambda step, values: None, stop_after: int | None = None
) -> Path | None:
    """Trains, or goes on training, and returns the finished checkpoint; None when `stop_after` ended it.

    A run that is finished already returns at once. Raises SettingsError, RowError.
    """
    final = config.out / FINAL
    arguments = sft_arguments(config)
    check_directory(config)
    if is_whole(final):
        return final
    require_files("rows", *config.rows)
    rows = [(row, file.parent) for file in config.rows for row in read_sft_rows(file)]
    if not rows:
        raise SettingsError("rows: the files hold no row")
    base = load_base(config)
    with arguments.main_process_first(desc="run directory"):
        claim_directory(config)
    card = _card(config, base, [row for row, _ in rows])
    weigher = _weigher(config, base)
    weighted = {} if weigher is None else {"data_collator": WeightedCollator(base.processor, weigher)}
    trainer = (RrmSftTrainer if weigher is None else WeightedSftTrainer)(
        base.model,
        args=arguments,
        train_dataset=sft_dataset(rows, TrainedProfile(), card.scale),
        processing_class=base.processor,
        peft_config=lora_config(config),
        optimizers=optimizers_of(config, base.model),
        callbacks=[LogsRun(config.out, on_log)],
        **weighted,
    )
    return final if train(trainer, config, card, stop_after=stop_after) else None


def _weigher(config: SftConfig, base: Base) -> Weigher | None:
    if config.token_weights is None:
        return None
    try:
        made: Weigher = plugins.load("edit_rrm_training.token_weights", config.token_weights)(base.processor)
    except PluginError as error:
        raise SettingsError(f"token_weights: {error}") from error
    return made


def _card(config: SftConfig, base: Base, rows: list[SftRow]) -> RRMCard:
    tasks = [row.task for row in rows]
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
            "rows": {task: tasks.count(task) for task in sorted(set(tasks))},
            "settings": config.model_dump(mode="json", exclude={"base", "out"}),
            "base": {"name": base.card.name, "training": base.card.training},
        },
    )
