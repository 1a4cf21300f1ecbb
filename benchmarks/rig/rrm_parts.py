"""Steps of SFT and of GCPO of an RRM with drawn weights, by the product's own trainers, counted by part."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoProcessor, TrainerCallback
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from edit_rrm.judges import TrainedProfile
from edit_rrm.principles import Category, Principle, numbered
from edit_rrm.traces import Trace
from edit_rrm_training.data.jsonl import write_rows
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.runs.checkpoints import lora_config
from edit_rrm_training.runs.settings import GcpoConfig, RunSettings, SftConfig, load_config
from edit_rrm_training.sft.run import run_sft
from edit_rrm_training.sft.trainer import RrmSftTrainer
from rig.drawn_models import INSTRUCTION, control_ids, save_rrm
from rig.gcpo import trainer_of
from rig.measured import Measured, Scale
from rig.phases import Phases
from rig.published import QWEN_3B, TINY_VLM, VlmSizes

CONFIGS = Path(__file__).parents[2] / "rrm_training" / "configs"


def sft(scale: Scale, folder: Path) -> Measured:
    """Steps of SFT from rrm_training/configs/sft_3b_lora.yaml, its forward pass of four rows."""
    count = _base(scale, folder)
    _pictures(scale, folder)
    write_rows(folder / "rows.jsonl", (_row(number, scale) for number in range(16)))
    config = load_config(SftConfig, CONFIGS / "sft_3b_lora.yaml", {
        **_run_settings(scale, folder), "rows": [folder / "rows.jsonl"], "validation_rows": [],
        "accumulate": 1,
    })  # fmt: skip
    phases = Phases()
    phases.wrap(DataCollatorForVisionLanguageModeling, "__call__", "preprocess")
    phases.wrap(RrmSftTrainer, "compute_loss", "forward")
    phases.wrap_updates()
    run_sft(config, on_log=_ends_step(phases, scale), stop_after=scale.steps + 1)
    words = f"LoRA {_rank(config)}, {config.batch_per_device} rows of two pictures of {_side(scale)} pixels"
    return Measured.of(f"SFT of {_vlm(scale).name}, {words}", count, phases)


def gcpo(scale: Scale, folder: Path) -> Measured:
    """Steps of GCPO from rrm_training/configs/gcpo_3b_lora.yaml, two pairs, rollouts by transformers."""
    count = _base(scale, folder)
    config = load_config(GcpoConfig, CONFIGS / "gcpo_3b_lora.yaml", {
        **_run_settings(scale, folder), "pairs": folder / "unused", "pairs_per_step": 2, "vllm": None,
        "validation_pairs": None, "eval_every": None, "keep_best": False,
        "max_trace_tokens": 16 if scale.tiny else 256, "steps": scale.steps + 1,
    })  # fmt: skip
    pictures = _pictures(scale, folder)
    pairs = [
        PreferencePair(
            id=str(number), source=pictures[0], instruction=INSTRUCTION, principles=_principles(),
            preferred=pictures[1], non_preferred=pictures[2], label="prefer",
        )
        for number in range(2 * (scale.steps + 1))
    ]  # fmt: skip
    phases = Phases()
    tokenizer = AutoProcessor.from_pretrained(config.base).tokenizer
    trainer, _ = trainer_of(
        config, pairs, folder, profile=ScoredNoise(),
        generation={"suppress_tokens": control_ids(tokenizer)},
        peft_config=lora_config(config), callbacks=[_Steps(phases)],
    )  # fmt: skip
    phases.wrap(trainer, "_generate_and_score_completions", "preprocess")
    phases.wrap(trainer, "_generate", "rollout")
    phases.wrap(trainer, "compute_loss", "forward")
    phases.wrap_updates()
    trainer.train()
    words = f"LoRA {_rank(config)}, 2 pairs × 2 × {config.traces} traces of {config.max_trace_tokens} tokens"
    return Measured.of(f"GCPO of {_vlm(scale).name}, {words}", count, phases)


class _Steps(TrainerCallback):  # type: ignore[misc]  # transformers is Any here
    def __init__(self, phases: Phases) -> None:
        self._phases = phases

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._phases.end_step()


class ScoredNoise(TrainedProfile):
    """Every text has a score, by its bytes: rollouts of noise teach something, as those of a judge do."""

    def parse_trace(
        self, text: str, principles: Sequence[Principle], *, opened: bool | None = None, whole: bool = False
    ) -> Trace:
        return Trace((), zlib.crc32(text.encode()) % 101 / 10, text)


def _ends_step(phases: Phases, scale: Scale) -> Callable[[int, Any], None]:
    def on_log(step: int, values: Any) -> None:
        if len(phases.steps) < min(step, scale.steps + 1):  # a line at the end is none of a step
            phases.end_step()

    return on_log


def _vlm(scale: Scale) -> VlmSizes:
    return TINY_VLM if scale.tiny else QWEN_3B


def _side(scale: Scale) -> int:
    """Longest side of an RRM's pictures, in pixels."""
    return 96 if scale.tiny else 768


def _rank(config: RunSettings) -> int:
    return 0 if config.lora is None else config.lora.rank


def _base(scale: Scale, folder: Path) -> int:
    return save_rrm(_vlm(scale), folder / "base", _side(scale), scale.device, scale.dtype)


def _run_settings(scale: Scale, folder: Path) -> dict[str, Any]:
    """What both trainings of an RRM have otherwise than their files."""
    return {
        "base": folder / "base", "out": folder / "run", "steps": 1000, "save_every": 1000, "log_every": 1,
        "workers": 0, "warmup_steps": 0, "lr_schedule": "constant",
        "dtype": "float32" if scale.tiny else "bfloat16",
    }  # fmt: skip


def _pictures(scale: Scale, folder: Path) -> list[str]:
    """Three pictures of coarse noise, by name."""
    rng = np.random.default_rng(0)
    side = _side(scale)
    names = [f"{number}.png" for number in range(3)]
    for name in names:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(folder / name)
    return names


def _principles() -> tuple[Principle, ...]:
    """Six of them."""
    kinds = (Category.FOLLOW, Category.KEEP, Category.QUALITY) * 2
    return numbered((kind, f"Is the circle at place {place} as it was asked for?") for place, kind in
                    enumerate(kinds))  # fmt: skip


def _row(number: int, scale: Scale) -> SftRow:
    """A row whose completion has about 600 tokens of the miniature's tokenizer (tiny: 78)."""
    evidence = "The circle is blue, and all around it is as it was. " * (3 if scale.tiny else 23)
    return SftRow(
        id=str(number), task="verify", instruction=INSTRUCTION, source="0.png",
        candidate=f"{1 + number % 2}.png", principles=_principles(), completion=evidence,
    )  # fmt: skip
