"""`TrainSettings`: everything that a run of `edit-grpo train` can be told. One documented model.

It knows no files and no command line (config_file.py). A setting without effect is an error: what belongs
to one algorithm stands in that algorithm's section.
"""

import random
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PositiveInt, Tag, model_validator

from edit_grpo.rollout.windows import WindowSettings, stochastic_steps
from edit_rrm_client import Category


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraSettings(Section):
    """Low-rank adapters; the reference policy is then the same model with them switched off."""

    rank: int = Field(default=64, ge=1, description="rank of each adapter")
    alpha: float = Field(default=128.0, gt=0.0, description="alpha / rank multiplies the adapters")
    targets: tuple[str, ...] | None = Field(
        default=None, description="ends of the names of the layers that get one; the attention's if absent"
    )


class PolicySettings(Section):
    """The editor that is trained, by the names of `edit_grpo.policies.PolicySettings`, which needs torch."""

    name: str = Field(description="`shapes-editor`, or the folder of a diffusers pipeline")
    lora: LoraSettings | None = Field(
        default=None, description="train adapters; without them and `adapter` all weights are trained"
    )
    adapter: Path | None = Field(default=None, description="folder of a saved adapter to go on with")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="bfloat16", description="type of the frozen weights and of latents"
    )
    gradient_checkpointing: bool = Field(
        default=True, description="compute activations twice: slower, much less memory"
    )
    guidance_scale: float | None = Field(
        default=None, gt=0.0, description="embedded guidance (FLUX.1-Kontext), in sampling and training alike"
    )
    true_cfg_scale: float = Field(
        default=1.0,
        ge=1.0,
        description="classifier-free guidance by a second pass (Qwen-Image-Edit); 1 is off",
    )
    negative_prompt: str = Field(default=" ", description="for true_cfg_scale above 1")
    area_pixels: int | None = Field(
        default=None,
        ge=256,
        description="area that sources are brought to, aspect kept; the policy's own if absent",
    )
    max_text_tokens: int | None = Field(
        default=None, ge=1, description="tokens that an instruction gets; the tokenizer's own if absent"
    )


class DataSettings(Section):
    """The edits that are asked for. Targets are not needed: the reward model judges the results."""

    edits: tuple[Path, ...] = Field(
        min_length=1, description="JSONL files of edits (id, source, instruction, category), or edits.jsonl"
    )
    held_out: Path | PositiveInt | None = Field(
        default=None,
        description="the same, for grids; or how many of `edits`, the last ones, are kept apart for them. "
        "Never trained on",
    )


class SamplingSettings(Section):
    """How candidates are drawn."""

    group_size: int = Field(default=24, ge=2, le=64, description="G: candidates of one edit")
    groups: int = Field(default=8, ge=1, description="groups of one update, over all processes")
    steps: int = Field(default=10, ge=2, description="denoising steps of a candidate")
    micro_batch: int = Field(
        default=4, ge=1, description="candidates of one forward pass, in rollout and update alike"
    )


class GroupSettings(Section):
    """From a group's rewards to advantages, for either algorithm."""

    std_floor: float = Field(
        default=1e-3, gt=0.0, description="a group whose rewards' std is smaller is skipped and counted"
    )
    advantage_clip: float = Field(default=5.0, gt=0.0, description="bound of |A|")


class GrpoSettings(GroupSettings):
    """Flow-GRPO: policy gradient over stochastic denoising steps."""

    name: Literal["grpo"] = "grpo"
    sde: Literal["flow_grpo", "cps"] = Field(
        default="flow_grpo", description="stochastic step: flow_grpo, or cps (less noise)"
    )
    eta: float = Field(default=0.7, gt=0.0, description="noise of stochastic steps; cps: at most 1")
    window: WindowSettings = Field(default=WindowSettings(), description="which steps are stochastic")
    clip_range: float = Field(
        default=1e-4, gt=0.0, description="ε of the ratio; small, since log-probabilities are means"
    )
    beta: float = Field(default=0.04, ge=0.0, description="weight of the KL to the reference policy")

    @property
    def needs_reference(self) -> bool:
        """Whether the reference policy is asked for anything."""
        return self.beta > 0.0

    @model_validator(mode="after")
    def _cps_keeps_a_variance(self) -> Self:
        if self.sde == "cps" and self.eta > 1.0:
            raise ValueError(f"eta of cps lies in (0, 1], got {self.eta}")
        return self


class NftSettings(GroupSettings):
    """DiffusionNFT: supervised flow matching towards good candidates and away from bad ones."""

    name: Literal["diffusion_nft"] = "diffusion_nft"
    mix: float = Field(
        default=1.0,
        gt=0.0,
        description="β of the paper: how far the two implicit policies lie from the old one",
    )
    points: int = Field(default=4, ge=1, description="noise levels trained per candidate, of the schedule's")
    kl: float = Field(default=1e-4, ge=0.0, description="weight of the squared distance to the reference")
    old_decay_rate: float = Field(
        default=1e-3, ge=0.0, description="the sampling policy keeps min(rate × update, max) of itself"
    )
    old_decay_max: float = Field(default=0.5, ge=0.0, lt=1.0, description="see old_decay_rate")

    @property
    def needs_reference(self) -> bool:
        """Whether the reference policy is asked for anything."""
        return self.kl > 0.0


class OptimizerSettings(Section):
    """AdamW and how often it steps."""

    lr: float = Field(default=3e-4, gt=0.0, description="peak learning rate")
    schedule: Literal["constant", "cosine"] = Field(
        default="constant", description="what the rate does after warm-up: stay, or fall to 0 at the end"
    )
    warmup_updates: int = Field(default=0, ge=0, description="updates over which the rate rises linearly")
    weight_decay: float = Field(default=1e-4, ge=0.0, description="decoupled decay")
    max_grad_norm: float = Field(default=1.0, gt=0.0, description="norm at which gradients are clipped")
    inner_epochs: int = Field(default=1, ge=1, description="passes over the candidates of an update")
    minibatches: int = Field(
        default=1, ge=1, description="optimiser steps of a pass; the clip range acts from the second step on"
    )
    ema: float | None = Field(
        default=None,
        ge=0.0,
        lt=1.0,
        description="decay per update of averaged weights, which are then the ones saved and shown in grids",
    )


class RewardSettings(Section):
    """The reward service, and what becomes of its answers."""

    urls: tuple[str, ...] = Field(
        default=("http://127.0.0.1:8000",), min_length=1, description="one service, or several equal ones"
    )
    api_key_env: str = Field(default="EDIT_RRM_API_KEY", description="variable that holds the key, if any")
    deadline_s: float = Field(default=120.0, gt=0.0, le=3600.0, description="seconds a group may take")
    attempts: int = Field(default=3, ge=1, description="requests a group makes before the service is away")
    patience_s: float = Field(
        default=1800.0, ge=0.0, description="seconds that a run waits for a service that is away"
    )
    poll_s: float = Field(default=5.0, gt=0.0, description="seconds between looks at a service that is away")
    max_empty_updates: int = Field(
        default=5, ge=1, description="updates in a row without any reward after which the run gives up"
    )
    overlap: bool = Field(
        default=True, description="sample the next group while one is scored; off is for the benchmark"
    )
    encoding: Literal["png", "jpeg"] = Field(default="png", description="how candidates travel")
    principles: Literal["service", "file"] = Field(
        default="service", description="decomposed by the service, or the ones of the edit's row"
    )
    samples: int = Field(default=1, ge=1, le=32, description="traces per candidate, averaged")
    temperature: float | None = Field(default=None, ge=0.0, le=2.0, description="the checkpoint's if absent")
    guards: Literal["enforce", "report", "off"] = Field(default="enforce", description="image checks")
    shape: Literal["service", "model_score", "weighted_mean", "gated", "soft"] = Field(
        default="service", description="the scalar: the service's own reward, or formed here from the answer"
    )
    category_weights: dict[Category, Annotated[float, Field(ge=0.0)]] = Field(
        default_factory=dict, description="factors of the verdicts' weights by category; 0 leaves them out"
    )

    @model_validator(mode="after")
    def _weights_have_an_effect(self) -> Self:
        if self.category_weights and self.shape in ("service", "model_score"):
            raise ValueError(f"category_weights have no effect on shape {self.shape}")
        return self


def _algorithm_name(given: Any) -> Any:
    """The algorithm that a section is of; without a name it is GRPO's."""
    return given.get("name", "grpo") if isinstance(given, dict) else getattr(given, "name", None)


class TrainSettings(Section):
    """A run of `edit-grpo train`."""

    out: Path = Field(description="run directory; a run found there is continued")
    policy: PolicySettings
    data: DataSettings
    sampling: SamplingSettings = SamplingSettings()
    algorithm: Annotated[
        Annotated[GrpoSettings, Tag("grpo")] | Annotated[NftSettings, Tag("diffusion_nft")],
        Discriminator(_algorithm_name),
    ] = GrpoSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    reward: RewardSettings = RewardSettings()
    updates: int = Field(ge=1, description="updates of the whole run")
    save_every: int = Field(default=25, ge=1, description="updates between checkpoints to resume from")
    keep: int = Field(default=2, ge=1, description="such checkpoints kept")
    grid_every: int | None = Field(default=25, ge=1, description="updates between grids; absent: none")
    grid_edits: int = Field(default=8, ge=1, le=64, description="held-out edits in a grid")
    seed: int = Field(default=0, ge=0, description="of the edits' order and of every noise")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.grid_every is not None and self.data.held_out is None:
            raise ValueError("grids need data.held_out; set grid_every to null for a run without them")
        if self.sampling.groups % self.optimizer.minibatches:
            raise ValueError(
                f"sampling.groups ({self.sampling.groups}) must be a multiple of optimizer.minibatches "
                f"({self.optimizer.minibatches})"
            )
        if isinstance(self.algorithm, GrpoSettings):
            stochastic_steps(self.algorithm.window, self.sampling.steps, 0, random.Random(0))  # must fit
        return self
