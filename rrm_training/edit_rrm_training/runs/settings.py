"""The settings of `edit-rrm-train sft` and `gcpo`: one model each, from a file and the command line.

The command line goes before the file. A name that no field has is refused wherever it comes from. How many
processes there are, and how they share the model, is accelerate's affair (configs/accelerate/).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edit_rrm.boards import WandbSettings
from edit_rrm.checkpoint import checkpoint_directory
from edit_rrm.errors import SettingsFileError
from edit_rrm.lora import LoraSettings
from edit_rrm.settings_files import assignments, load_settings
from edit_rrm_training.errors import SettingsError

Credit = Literal["trace", "all_scores"]
"""What the advantage of a parsed trace teaches: its tokens (the paper), or all scores it could (ours)."""


Attention = Literal["eager", "sdpa", "flash_attention_2"]

LANGUAGE_LAYERS = r".*language_model.*\.(q|k|v|o|gate|up|down|in|out)_proj(_\w+)?"
"""All projections of the language model, those of linear attention among them (`in_proj_qkv`, `out_proj`);
none of the vision tower."""


class RrmLora(LoraSettings):
    """Adapters in place of full training; merged into the weights at the end."""

    targets: str | tuple[str, ...] = Field(
        default=LANGUAGE_LAYERS,
        min_length=1,
        description="layers that get one; by default not the vision tower",
    )


class VllmSettings(BaseModel):
    """Rollouts by vLLM: inside each training process, or by servers of TRL's (`trl vllm-serve`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["colocate", "server"] = Field(default="colocate", description="where vLLM runs")
    server_url: str | None = Field(default=None, description="base URL of `trl vllm-serve`, for mode server")
    gpu_memory: float = Field(
        default=0.3, gt=0.0, le=1.0, description="share of each GPU's memory vLLM may use, for mode colocate"
    )
    tensor_parallel: int = Field(
        default=1, ge=1, description="GPUs that share one copy of vLLM, mode colocate"
    )
    max_model_tokens: int | None = Field(
        default=None, ge=1, description="longest prompt plus trace, in tokens; default: the model's own limit"
    )
    sleep: bool = Field(default=True, description="give vLLM's memory back during updates, for mode colocate")

    @model_validator(mode="after")
    def _server_has_url(self) -> Self:
        if (self.mode == "server") != (self.server_url is not None):
            raise ValueError("server_url belongs to mode server, which needs it")
        return self


class RunSettings(BaseModel):
    """What SFT and GCPO have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    base: Annotated[Path, BeforeValidator(checkpoint_directory)] = Field(
        description="checkpoint to start from: any directory of a Qwen2.5-VL, or a registered name"
    )
    out: Path = Field(description="run directory; a run found there is continued")
    name: str = Field(default="edit-rrm", min_length=1, description="name in rrm.json, shown by the service")

    steps: int = Field(ge=1, description="optimiser steps")
    batch_per_device: int = Field(ge=1, description="samples (SFT) or traces (GCPO) of one forward pass")
    lr: float = Field(gt=0.0, description="peak learning rate")
    warmup_steps: int = Field(default=0, ge=0, description="steps over which the rate rises linearly")
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant",
        description="what the rate does after warm-up: stay, or fall to 0 at the last step",
    )
    optimizer: str = Field(
        default="adamw",
        description="adamw, or one that an installed package registers, which goes with full training alone",
    )
    weight_decay: float = Field(default=0.0, ge=0.0, description="decoupled decay of matrices")
    max_grad_norm: float = Field(default=1.0, gt=0.0, description="norm at which gradients are clipped")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="bfloat16",
        description="type of the saved weights and of the computation (float32 on a CPU without bfloat16)",
    )
    tf32: bool = Field(
        default=True,
        description="on a GPU that has it, products of float32 matrices are made in TF32: faster, less exact",
    )
    attention: Attention | None = Field(
        default=None,
        description="how attention is computed: eager, sdpa or flash_attention_2 (needs flash-attn), which "
        "on a GPU takes all pictures at once; absent: as transformers chooses (sdpa)",
    )
    lora: RrmLora | None = Field(default=None, description="adapters; absent: full training")
    gradient_checkpointing: bool = Field(
        default=True, description="recompute activations in the backward pass: slower, much less memory"
    )
    compile_layers: bool = Field(
        default=False,
        description="compile the layers for updates (torch.compile): a minute first, then faster",
    )
    equal_images: bool = Field(
        default=False, description="all pictures are of one size: the vision tower takes a batch at once"
    )
    seed: int = Field(default=0, ge=0, description="of the order of the data and of the sampling")
    workers: int = Field(default=1, ge=0, description="processes that load pictures")

    log_every: int = Field(default=10, ge=1, description="steps between lines of log.jsonl and TensorBoard")
    save_every: int | None = Field(
        default=None,
        ge=1,
        description="steps between checkpoints to resume from; absent: 20 a run, but 50 to 1000 steps apart",
    )
    keep: int = Field(default=2, ge=1, description="such checkpoints kept")
    samples_every: int | None = Field(
        default=None,
        ge=0,
        description="steps between samples, on TensorBoard and Weights & Biases: pictures and what the model "
        "wrote; the first and the last step have one too; 0: none; absent: as often as is saved",
    )
    wandb: WandbSettings | None = Field(
        default=None, description="Weights & Biases beside TensorBoard; absent: not"
    )

    @model_validator(mode="after")
    def _other_optimizers_are_full(self) -> Self:
        if self.optimizer != "adamw" and self.lora is not None:
            raise ValueError(f"optimizer {self.optimizer} takes whole matrices: it does not go with lora")
        return self

    @model_validator(mode="after")
    def _flash_attention_has_sixteen_bits(self) -> Self:
        if self.attention == "flash_attention_2" and self.dtype == "float32":
            raise ValueError("attention flash_attention_2 computes in 16 bits: set dtype to bfloat16")
        return self

    @property
    def save_steps(self) -> int:
        """`save_every`, or what stands for it."""
        return self.save_every or min(max(self.steps // 20, 50), 1000)

    @property
    def steps_between_samples(self) -> int:
        """`samples_every`, or what stands for it."""
        return self.save_steps if self.samples_every is None else self.samples_every


class SftConfig(RunSettings):
    """Settings of `edit-rrm-train sft`."""

    rows: tuple[Path, ...] = Field(
        min_length=1,
        description="SFT rows (docs/train-the-rrm.md, SFT): files, folders of shards or patterns; JSONL, "
        "Parquet, WebDataset (.tar) or folders that `datasets` saved",
    )
    validation_rows: tuple[Path, ...] = Field(
        default=(), description="rows, as above, that are not learned: their loss is logged as eval_loss"
    )
    validation_count: int = Field(
        default=2000, ge=1, description="validation rows measured each time, from the first on"
    )
    eval_every: int | None = Field(
        default=None,
        ge=1,
        description="steps between measurements, and one after the last step; absent: as often as is saved",
    )
    lr: float = Field(default=1e-5, gt=0.0, description="peak learning rate")
    batch_per_device: int = Field(default=4, ge=1, description="samples of one forward pass")
    accumulate: int = Field(
        default=1, ge=1, description="forward passes of one process that make one optimiser step"
    )
    token_weights: str | None = Field(
        default=None,
        description="how tokens of a completion are weighed, by the name that an installed package "
        "registers; absent: all alike",
    )
    max_image_side: int | None = Field(
        default=None, ge=28, description="longest side in pixels; default: the base's rrm.json"
    )
    max_trace_tokens: int = Field(default=1024, ge=1, description="served default, written into rrm.json")
    judges: str = Field(default="", description="what the scores are good for, written into rrm.json")

    @model_validator(mode="after")
    def _measures_something(self) -> Self:
        if self.eval_every is not None and not self.validation_rows:
            raise ValueError("eval_every has no effect without validation_rows")
        return self


class GcpoConfig(RunSettings):
    """Settings of `edit-rrm-train gcpo`."""

    pairs: Path = Field(description="JSONL file of preference pairs (docs/rrm-data.md, Preference data)")
    validation_pairs: Path | None = Field(
        default=None, description="JSONL file of pairs for the accuracy during training; never the test's"
    )
    lr: float = Field(default=1e-6, gt=0.0, description="peak learning rate")
    traces: int = Field(default=8, ge=2, description="N, the traces drawn for each image of a pair")
    pairs_per_step: int = Field(default=8, ge=1, description="pairs of one rollout, over all processes")
    updates_per_rollout: int = Field(
        default=1, ge=1, description="optimiser steps on one rollout; clipping acts from the second on"
    )
    batch_per_device: int = Field(default=16, ge=1, description="traces of one forward and backward pass")
    temperature: float = Field(
        default=1.0, gt=0.0, le=2.0, description="of the rollouts; scores that never differ teach nothing"
    )
    top_p: float = Field(default=1.0, gt=0.0, le=1.0, description="nucleus of the rollouts")
    max_trace_tokens: int = Field(default=1024, ge=1, description="longest trace; one cut off is unparsed")
    share_prompts: bool = Field(
        default=False,
        description="updates read a prompt once for its N traces, not N times; for Qwen-VL with sdpa",
    )
    clip: float = Field(default=0.2, gt=0.0, description="ε of the clipped surrogate")
    credit: Credit = Field(
        default="trace",
        description="what a trace's advantage teaches: all its tokens, as in the paper; or (ours) "
        "all_scores: each score it could have given, by its probability (needs share_prompts)",
    )
    kl: float = Field(
        default=0.0,
        ge=0.0,
        description="β, weight of the KL to the base, per token; with credit all_scores of the evidence, "
        "summed over a trace (needs lora). 0 holds no second model",
    )
    vllm: VllmSettings | None = Field(default=None, description="vLLM rollouts; absent: by transformers")
    eval_every: int | None = Field(
        default=None, ge=1, description="steps between measurements on validation_pairs; absent: never"
    )
    keep_best: bool = Field(
        default=False,
        description="final/ has the weights that judged most validation pairs rightly, not the last ones",
    )
    eval_batch: int = Field(default=32, ge=1, description="traces generated at once by a measurement")
    log_every: int = Field(default=1, ge=1, description="steps between lines of log.jsonl and TensorBoard")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.save_steps % self.updates_per_rollout:
            raise ValueError(
                f"save_every ({self.save_steps}) must be a multiple of updates_per_rollout "
                f"({self.updates_per_rollout}): a rollout is not saved, so no run can resume inside one"
            )
        if self.share_prompts and self.attention not in (None, "sdpa"):
            raise ValueError(f"share_prompts needs attention sdpa, not {self.attention}")
        if self.share_prompts and self.batch_per_device % self.traces:
            raise ValueError(
                f"share_prompts needs whole groups in a forward pass: batch_per_device "
                f"({self.batch_per_device}) must be a multiple of traces ({self.traces})"
            )
        if self.vllm is not None and (self.vllm.max_model_tokens or math.inf) <= self.max_trace_tokens:
            raise ValueError(
                f"vllm.max_model_tokens ({self.vllm.max_model_tokens}) holds prompt and trace: it must be "
                f"more than max_trace_tokens ({self.max_trace_tokens}), by the longest prompt"
            )
        if self.credit == "all_scores":
            self._fits_all_scores()
        if (self.eval_every is None) != (self.validation_pairs is None):
            raise ValueError("eval_every and validation_pairs go together")
        if self.keep_best and (self.eval_every is None or self.eval_every % self.save_steps):
            raise ValueError(
                f"keep_best needs a checkpoint of what is measured: eval_every ({self.eval_every}) must be "
                f"a multiple of save_every ({self.save_steps})"
            )
        return self

    @property
    def save_steps(self) -> int:
        """`save_every`, or what stands for it: whole rollouts, and with `keep_best` what is measured."""
        if self.save_every is None and self.keep_best and self.eval_every is not None:
            return self.eval_every
        chosen = super().save_steps
        rollout = self.updates_per_rollout
        return chosen if self.save_every is not None else -(-chosen // rollout) * rollout

    def _fits_all_scores(self) -> None:
        if not self.share_prompts:
            raise ValueError("credit all_scores needs share_prompts")
        if self.kl and self.lora is None:
            raise ValueError("kl with credit all_scores needs lora: the base is the model without adapters")
        if self.batch_per_device % (2 * self.traces):
            raise ValueError(
                f"credit all_scores needs whole pairs in a forward pass: batch_per_device "
                f"({self.batch_per_device}) must be a multiple of 2 × traces ({2 * self.traces})"
            )

    def accumulation(self, processes: int) -> int:
        """Forward passes of one process in one optimiser step.

        Raises SettingsError when a rollout does not split into equal forward passes over the processes.
        """
        rollout = 2 * self.traces * self.pairs_per_step
        share, rest = divmod(rollout, processes * self.batch_per_device)
        if rest or not share:
            raise SettingsError(
                f"a rollout of {self.pairs_per_step} pairs × 2 × {self.traces} traces = {rollout} must be a "
                f"multiple of {processes} processes × batch_per_device {self.batch_per_device}"
            )
        return share


S = TypeVar("S", bound=RunSettings)


def load_config(kind: type[S], file: Path | None, overrides: Mapping[str, Any]) -> S:
    """Settings from `file` (YAML, JSON or TOML) and, before it, `overrides`; a dotted name enters a section.

    Raises SettingsError, naming every field that is wrong.
    """
    try:
        return load_settings(kind, file, overrides)
    except SettingsFileError as error:
        raise SettingsError(str(error)) from error


def parse_assignments(texts: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE texts as a mapping; a value is read as YAML reads it. Raises SettingsError."""
    try:
        return assignments(texts)
    except SettingsFileError as error:
        raise SettingsError(str(error)) from error
