"""What every run of a TRL trainer has here: arguments, logs, and a servable checkpoint at the end.

It knows nothing of what is trained; run_directory.py knows what lies where.
"""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    AutoModelForImageTextToText,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils import is_torch_tf32_available

from edit_rrm import plugins
from edit_rrm.checkpoint import RRMCard
from edit_rrm.errors import PluginError
from edit_rrm.run_directories import FINAL
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs.checkpoints import save_checkpoint
from edit_rrm_training.runs.cpu_bfloat16 import computes_in_bfloat16
from edit_rrm_training.runs.run_directory import STATE, last_checkpoint
from edit_rrm_training.runs.settings import RunSettings


def training_arguments(settings: RunSettings) -> dict[str, Any]:
    """The arguments that SFT's and GCPO's configurations of TRL have in common."""
    schedule = "constant_with_warmup" if settings.lr_schedule == "constant" else settings.lr_schedule
    return {
        "output_dir": str(settings.out),
        "max_steps": settings.steps,
        "per_device_train_batch_size": settings.batch_per_device,
        "learning_rate": settings.lr,
        "warmup_steps": settings.warmup_steps,
        "lr_scheduler_type": schedule,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "bf16": computes_in_bfloat16(settings.dtype),
        "tf32": settings.tf32 if is_torch_tf32_available() else None,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "seed": settings.seed,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_num_workers": settings.workers,
        "remove_unused_columns": False,  # the pictures are made from a column no model knows
        "logging_steps": settings.log_every,
        "logging_first_step": True,
        "save_steps": settings.save_steps,
        "save_total_limit": settings.keep,
        "disable_tqdm": True,
        "report_to": "none",
    }


def optimizers_of(settings: RunSettings, model: torch.nn.Module) -> tuple[Any, None]:
    """What a trainer takes as `optimizers`: nothing for its own AdamW, or one that a package registers (entry
    point group `edit_rrm_training.optimizers`: from the model, `lr` and `weight_decay` to an optimiser).

    Raises SettingsError for a name that none has.
    """
    if settings.optimizer == "adamw":
        return None, None
    try:
        make = plugins.load("edit_rrm_training.optimizers", settings.optimizer)
    except PluginError as error:
        raise SettingsError(f"optimizer: {error}") from error
    return make(model, lr=settings.lr, weight_decay=settings.weight_decay), None


def require_files(setting: str, *files: Path) -> None:
    """Raises SettingsError naming those that are not there."""
    if missing := [str(file) for file in files if not file.is_file()]:
        raise SettingsError(f"{setting}: there is no file {', '.join(missing)}")


def require_float32_masters(trainer: Trainer) -> None:
    """Raises SettingsError where 16-bit weights would be trained themselves: an update of 1e-6 is lost in
    them. DeepSpeed keeps float32 ones of its own."""
    if trainer.is_deepspeed_enabled:
        return
    short = [
        f"{name} ({parameter.dtype})"
        for name, parameter in trainer.model.named_parameters()
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16)
    ]
    if short:
        raise SettingsError(
            f"{len(short)} weights to train have 16 bits and no float32 masters, the first is {short[0]}: "
            "load them in float32 (dtype: bfloat16 then computes in bfloat16 by autocast), or set lora"
        )


def train(trainer: Trainer, settings: RunSettings, card: RRMCard, *, stop_after: int | None = None) -> bool:
    """Runs what is left of the training; True when it has come to its end and `final/` is written, from the
    checkpoint with the best metric where the trainer was told of one (`metric_for_best_model`), or the last.
    Raises SettingsError.

    `stop_after` ends this run early, after that many steps of the whole, leaving a checkpoint.
    """
    require_float32_masters(trainer)
    trainer.remove_callback(PrinterCallback)  # LogsRun speaks
    trained = settings.out / f"checkpoint-{settings.steps}"
    checkpoint = last_checkpoint(settings.out)
    if checkpoint != trained:  # the trainer would take a step too many from the last one
        if stop_after is not None:
            trainer.add_callback(_StopAfter(stop_after))
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        if trainer.state.global_step < settings.steps:
            return False
    if trainer.args.should_save:
        metric = trainer.args.metric_for_best_model
        if metric is not None:
            trained, kept = _best(trained, metric)
            card = card.model_copy(update={"training": {**card.training, "kept": kept}})
        save_checkpoint(trained, settings, card, settings.out / FINAL)
    trainer.accelerator.wait_for_everyone()
    return True


def _best(last: Path, metric: str) -> tuple[Path, dict[str, float]]:
    """The checkpoint that the run's last one says was the best, with its step and `metric`. Raises
    SettingsError when it was deleted."""
    state = TrainerState.load_from_json(str(last / STATE))
    best = last.parent / f"checkpoint-{state.best_global_step}"
    if not best.is_dir():
        raise SettingsError(f"keep_best: {best}, whose weights judged best, is gone")
    return best, {"step": state.best_global_step, metric: state.best_metric}


class ResumesWeights:
    """A trainer that resumes with the weights of its checkpoint. Goes before TRL's class, whose README it
    leaves out: `rrm.json` says how a checkpoint was made.

    transformers 5.17 saves Qwen2.5-VL under the names of its published checkpoints ("visual.…") and, on
    resuming, looks for the names in memory ("model.visual.…"), finds none, warns, and goes on with the base.
    """

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Writes none."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        trainer: Any = self
        model = trainer.model if model is None else model
        if trainer.is_fsdp_enabled or isinstance(model, PeftModel):  # these keep the names in memory
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            return
        saved = AutoModelForImageTextToText.from_pretrained(resume_from_checkpoint, dtype=model.dtype)
        model.load_state_dict(saved.state_dict())


class _StopAfter(TrainerCallback):  # type: ignore[misc]  # transformers is Any here
    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if state.global_step >= self._steps:
            control.should_training_stop = control.should_save = True
