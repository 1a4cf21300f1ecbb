"""Cold-start SFT (paper.md, Stage 1, step 5) by TRL's SFTTrainer, full or with adapters.

The loss counts completions alone. No packing and no cutting: image tokens must stay with their images.

**Ours**, for the tiny model only (`role_weights`): tokens are weighed by their role, verdicts and what was
seen more than the rest, as in its own recipe (tiny/batches.py); the loss is the weighted mean.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2_5_VLProcessor
from trl import SFTConfig as TrlSftConfig
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from edit_rrm.checkpoint import RRMCard, SamplingDefaults
from edit_rrm.profiles import TrainedProfile
from edit_rrm_shapes.tiny_rrm.batches import EncodedSample, LossWeights
from edit_rrm_training.data.sft_rows import SftRow, read_sft_rows
from edit_rrm_training.data.trl_rows import sft_dataset
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs.checkpoints import Base, is_whole, load_base, lora_config
from edit_rrm_training.runs.settings import SftConfig
from edit_rrm_training.runs.training_run import (
    FINAL,
    OnLog,
    ResumesWeights,
    RunLog,
    check_directory,
    claim_directory,
    optimizers_of,
    require_files,
    train,
    training_arguments,
)

IGNORED = -100  # the label of a token that is not learned


class RoleWeights:
    """TRL's collator, with a weight for every token of a batch beside its label."""

    def __init__(self, processor: Qwen2_5_VLProcessor) -> None:
        self._collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
        self._weights = LossWeights(processor)

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """The batch, `loss_weights` [batch, tokens] in it: 0 where the label is ignored."""
        batch: dict[str, Any] = self._collate(examples)
        weights = torch.zeros(batch["labels"].shape)
        for row, (ids, labels) in enumerate(zip(batch["input_ids"], batch["labels"], strict=True)):
            learned = (labels != IGNORED).nonzero().flatten()
            first, end = int(learned[0]), int(learned[-1]) + 1
            weights[row, :end] = torch.tensor(self._weights(EncodedSample(tuple(ids[:end].tolist()), first)))
        batch["loss_weights"] = weights
        return batch


class RrmSftTrainer(ResumesWeights, SFTTrainer):  # type: ignore[misc]  # trl is Any here
    """TRL's, with completions' mean loss."""


class RoleWeightedTrainer(RrmSftTrainer):
    """Minimises the weighted mean of the tokens' losses, in nats a token."""

    loss_is_scaled_for_ga = True  # by `compute_loss`: the trainer must not divide it again

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The loss of one forward pass; those of an optimiser step count alike, whatever their lengths."""
        weights = inputs.pop("loss_weights")[:, 1:]
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        mode = "train" if model.training else "eval"
        right = (outputs.is_top1.sum() / outputs.label_mask.sum()).item()
        self._metrics[mode]["mean_token_accuracy"].append(right)
        loss = -(outputs.log_probs * weights).sum() / weights.sum()
        return loss / self.current_gradient_accumulation_steps


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
    weighted = {"data_collator": RoleWeights(base.processor)} if config.role_weights else {}
    trainer = (RoleWeightedTrainer if config.role_weights else RrmSftTrainer)(
        base.model,
        args=arguments,
        train_dataset=sft_dataset(rows, TrainedProfile(), card.max_image_side),
        processing_class=base.processor,
        peft_config=lora_config(config),
        optimizers=optimizers_of(config, base.model),
        callbacks=[RunLog(config.out, on_log)],
        **weighted,
    )
    return final if train(trainer, config, card, stop_after=stop_after) else None


def _card(config: SftConfig, base: Base, rows: list[SftRow]) -> RRMCard:
    tasks = [row.task for row in rows]
    return RRMCard(
        name=config.name,
        profile="trained",
        trace_format="1",
        sampling=SamplingDefaults(max_tokens=config.max_trace_tokens),
        max_image_side=config.max_image_side or base.card.max_image_side,
        judges=config.judges or base.card.judges,
        training={
            "stage": "sft",
            "rows": {task: tasks.count(task) for task in sorted(set(tasks))},
            "settings": config.model_dump(mode="json", exclude={"base", "out"}),
            "base": {"name": base.card.name, "training": base.card.training},
        },
    )
