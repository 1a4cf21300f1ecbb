"""The recipe of the bundled checkpoint: tokenizer and seven stages, from looking to finding."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from edit_rrm_shapes.tiny_rrm.looking import run_look_stage
from edit_rrm_shapes.tiny_rrm.model import Size, build_config, build_processor, new_model, save_servable
from edit_rrm_shapes.tiny_rrm.tasks import BASE_MIX, FIND_MIX, POLISH_MIX, READ_MIX, SEE_MIX, SFT_MIX
from edit_rrm_shapes.tiny_rrm.tokenizer import build_tokenizer
from edit_rrm_shapes.tiny_rrm.training import Stage, StepReport, prepare_fast, run_stage

LOOK = Stage("look", {}, steps=500, seed=5, batch_size=64, warmup_steps=30, decay_share=0.2)
READ = Stage("read", READ_MIX, steps=300, seed=4, batch_size=16, warmup_steps=60, decay_share=0.0)
SEE = Stage("see", SEE_MIX, steps=500, seed=3, batch_size=16, warmup_steps=60, decay_share=0.0)
BASE = Stage("base", BASE_MIX, steps=300, seed=1, batch_size=16, warmup_steps=20, decay_share=0.0)
SFT = Stage("sft", SFT_MIX, steps=2400, seed=2, batch_size=16, lr=7e-4, warmup_steps=50, decay_share=0.0)
POLISH = Stage("polish", POLISH_MIX, 1300, seed=6, batch_size=16, lr=7e-4, warmup_steps=20, decay_share=0.8)
FIND = Stage("find", FIND_MIX, 3000, seed=7, batch_size=64, lr=7e-4, warmup_steps=50, decay_share=0.5)
MODEL_SEED = 0


def load_processor(directory: Path) -> Qwen2_5_VLProcessor:
    """The processor saved in `directory`, built and saved there the first time."""
    saved = directory / "processor"
    if not (saved / "tokenizer.json").exists():
        build_processor(build_tokenizer()).save_pretrained(saved)
    processor: Qwen2_5_VLProcessor = Qwen2_5_VLProcessor.from_pretrained(saved)
    return processor


def train(
    directory: Path,
    look: Stage = LOOK,
    read: Stage = READ,
    see: Stage = SEE,
    base: Stage = BASE,
    sft: Stage = SFT,
    polish: Stage = POLISH,
    find: Stage = FIND,
    *,
    size: Size = "m",
    fast: bool = False,
    device: str = "cpu",
    workers: int = 1,
    on_step: Callable[[Stage, StepReport], None] = lambda stage, report: None,
) -> dict[str, float]:
    """Runs what is left of the recipe in `directory` and returns the seconds of each stage.

    Leaves a servable checkpoint of every stage but the first in `directory`; the last is `find`. A stage
    of 0 steps is left out. `fast`: with compiled layers, and in bfloat16 over float32 weights where the CPU
    has it. On a GPU products of matrices are computed in TF32.
    """
    processor = load_processor(directory)
    config = build_config(processor.tokenizer, size)
    model: Qwen2_5_VLForConditionalGeneration = new_model(processor.tokenizer, MODEL_SEED, config)
    _prepare(model, fast, device)
    seconds = {
        look.name: run_look_stage(
            look, model, processor, directory, fast=fast, workers=workers, on_step=partial(on_step, look)
        )
    }
    for stage in (read, see, base, sft, polish, find):
        if not stage.steps:
            continue
        seconds[stage.name] = run_stage(
            stage, model, processor, directory, fast=fast, workers=workers, on_step=partial(on_step, stage)
        )
        save_servable(model, processor.tokenizer, directory / stage.name, torch.float32)
    return seconds


def continue_with(
    checkpoint: Path,
    directory: Path,
    stage: Stage = FIND,
    *,
    fast: bool = False,
    device: str = "cpu",
    workers: int = 1,
    on_step: Callable[[Stage, StepReport], None] = lambda stage, report: None,
) -> dict[str, float]:
    """Runs one stage alone, on the weights and with the tokenizer of a finished checkpoint.

    Resumes in `directory` as `train` does, and leaves a servable checkpoint under the stage's name in it.
    """
    saved = directory / "processor"
    if not (saved / "tokenizer.json").exists():
        Qwen2_5_VLProcessor.from_pretrained(checkpoint).save_pretrained(saved)
    processor = load_processor(directory)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    _prepare(model, fast, device)
    seconds = run_stage(
        stage, model, processor, directory, fast=fast, workers=workers, on_step=partial(on_step, stage)
    )
    save_servable(model, processor.tokenizer, directory / stage.name, torch.float32)
    return {stage.name: seconds}


def _prepare(model: Qwen2_5_VLForConditionalGeneration, fast: bool, device: str) -> None:
    """Moves the model to where it is trained."""
    if fast:
        prepare_fast(model)
    if device != "cpu":
        torch.set_float32_matmul_precision("high")
    model.to(device)
