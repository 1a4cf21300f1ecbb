"""Reads the checkpoint a run starts from and writes the one it leaves: weights, processor and `rrm.json`.

For any chat VLM that transformers loads by its configuration; the tiny model is one of them.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.utils import is_flash_attn_2_available

from edit_rrm.checkpoint import FILE_NAME, RRMCard, no_such_checkpoint, read_card, write_card
from edit_rrm.run_directories import what_it_holds
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs.cpu_bfloat16 import (
    compile_layers,
    computes_in_bfloat16,
    keep_slow_operations_in_float32,
)
from edit_rrm_training.runs.equal_images import batch_vision_attention
from edit_rrm_training.runs.settings import Attention, RunSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Base:
    """A checkpoint in memory, ready to train."""

    model: PreTrainedModel
    processor: ProcessorMixin
    card: RRMCard


def load_base(settings: RunSettings) -> Base:
    """The checkpoint of `settings.base`. Raises SettingsError when it is no directory of a model, does not
    compute attention as is wanted, or has another vision tower than `equal_images` is for.

    Full training keeps its weights in float32 whatever it computes in: an update of 1e-6 is lost in bfloat16.
    """
    directory = settings.base
    if not (directory / "config.json").is_file():
        if not directory.is_dir():
            raise SettingsError(f"base: {no_such_checkpoint(directory)}")
        raise SettingsError(f"base: {directory} holds no config.json of a model; {what_it_holds(directory)}")
    in_bfloat16 = computes_in_bfloat16(settings.dtype)
    if settings.dtype == "bfloat16" and not in_bfloat16:
        _log.warning("dtype=bfloat16: this machine has no bfloat16, so the computation is in float32")
    dtype = torch.bfloat16 if in_bfloat16 and settings.lora is not None else torch.float32
    model = _load_model(directory, dtype, settings.attention)
    if settings.equal_images:
        if not isinstance(model, Qwen2_5_VLForConditionalGeneration):
            raise SettingsError(
                f"equal_images is for the vision tower of Qwen2.5-VL, not {type(model).__name__}"
            )
        batch_vision_attention(model)
    on_cpu = not torch.cuda.is_available()
    by_sdpa = settings.attention in (None, "sdpa")
    if in_bfloat16 and on_cpu and by_sdpa and isinstance(model, Qwen2_5_VLForConditionalGeneration):
        keep_slow_operations_in_float32(model)
    if settings.compile_layers:
        compile_layers(model)
    # Padded on the left, the prompts of a batch end where their traces begin.
    processor = AutoProcessor.from_pretrained(directory, padding_side="left")
    return Base(model, processor, read_card(directory))


def _load_model(directory: Path, dtype: torch.dtype, attention: Attention | None) -> Any:
    if attention == "flash_attention_2" and not is_flash_attn_2_available():
        raise SettingsError(
            "attention: flash_attention_2 needs a GPU and the package flash-attn, and one of them is missing "
            "here: install it, or set sdpa"
        )
    chosen = {} if attention is None else {"attn_implementation": attention}
    try:
        return AutoModelForImageTextToText.from_pretrained(directory, dtype=dtype, **chosen)
    except (ImportError, ValueError) as error:
        if attention is None:
            raise
        raise SettingsError(f"attention: {attention} does not go with {directory}: {error}") from error


def lora_config(settings: RunSettings) -> LoraConfig | None:
    """PEFT's configuration of the run's adapters, None for full training."""
    lora = settings.lora
    if lora is None:
        return None
    return LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=lora.targets,
        task_type="CAUSAL_LM",
    )  # fmt: skip


def save_checkpoint(trained: Path, settings: RunSettings, card: RRMCard, directory: Path) -> None:
    """Writes what a server loads to `directory`, from what a trainer saved in `trained`.

    `trained` holds whole weights, or adapters, which are merged into `settings.base` here, on the CPU.
    `rrm.json` is written last: a directory that has it is whole.
    """
    dtype = getattr(torch, settings.dtype)
    whole = trained if settings.lora is None else settings.base
    model: Any = AutoModelForImageTextToText.from_pretrained(whole, dtype=dtype)
    if settings.lora is not None:
        model = PeftModel.from_pretrained(model, trained).merge_and_unload()
    shutil.rmtree(directory, ignore_errors=True)
    model.save_pretrained(directory)
    AutoProcessor.from_pretrained(settings.base).save_pretrained(directory)
    for file in directory.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes them for the owner alone
    write_card(directory, card)


def is_whole(directory: Path) -> bool:
    """Whether `save_checkpoint` finished there."""
    return (directory / FILE_NAME).is_file()
