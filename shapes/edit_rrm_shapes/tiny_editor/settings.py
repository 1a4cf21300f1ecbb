"""The settings of a pre-training run: one model, written beside the run and compared when it goes on."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class StageSettings(BaseModel):
    """Steps of AdamW, whose learning rate rises, stays and falls to 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(ge=0, description="optimiser steps of the whole stage")
    batch_size: int = Field(default=32, ge=1, description="edits a step")
    lr: float = Field(default=1e-3, gt=0, description="AdamW's highest learning rate")
    warmup_steps: int = Field(default=100, ge=1, description="steps in which the learning rate rises")
    decay_share: float = Field(
        default=0.5, gt=0, le=1, description="share of the steps, at the end, in which it falls to 0"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's")
    clip_norm: float = Field(default=1.0, gt=0, description="gradients are scaled down to this norm")
    ema_decay: float = Field(default=0.99, ge=0, lt=1, description="of the averaged weights that are kept")
    checkpoint_every: int = Field(default=200, ge=1, description="steps between checkpoints")

    def lr_at(self, step: int) -> float:
        """The learning rate of the step with index `step`, from 0: up, level, linearly to 0."""
        rising = min(1.0, (step + 1) / self.warmup_steps)
        falling = min(1.0, (self.steps - step) / max(1, math.ceil(self.steps * self.decay_share)))
        return self.lr * rising * falling


class VaeSettings(StageSettings):
    """The autoencoder: pictures drawn again, from latents with noise."""

    steps: int = Field(default=7000, ge=0, description="0 where a run starts from another editor")
    lr: float = Field(default=4e-3, gt=0, description="AdamW's highest learning rate")
    warmup_steps: int = Field(default=50, ge=1, description="steps in which the learning rate rises")
    decay_share: float = Field(default=0.7, gt=0, le=1, description="share in which it falls to 0")
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's")
    ema_decay: float = Field(default=0.0, ge=0, lt=1, description="0: the weights themselves are kept")
    noise: float = Field(
        default=0.1, ge=0, description="standard deviation of the noise on latents, whose own is 1: with it "
        "the decoder draws clean edges from latents that are slightly wrong",
    )  # fmt: skip
    crop_side: int = Field(
        default=4, ge=1, description="side of the crops, in blocks of 8 pixels, that hold something to see"
    )
    crop_share: float = Field(
        default=0.85,
        ge=0,
        le=1,
        description="share of the steps, from the first on, with crops; then whole pictures",
    )


class FlowSettings(StageSettings):
    """Flow matching on shapes edits."""

    steps: int = Field(default=4500, ge=1, description="optimiser steps of the whole stage")
    temperature: float = Field(
        default=3.0,
        gt=0,
        description="a candidate of score s is drawn with weight exp((s − 10) / temperature): "
        "low teaches good edits only, high also the flaws, in their proportion",
    )
    first_temperature: float = Field(
        default=0.7, gt=0, description="the temperature at first: with good edits alone, what is to be done "
        "follows from the instruction, and that is what takes longest to learn",
    )  # fmt: skip
    first_share: float = Field(
        default=0.65, ge=0, le=1, description="share of the steps, from the first on, with that temperature"
    )
    undone_share: float = Field(
        default=0.0, ge=0, le=1, description="after those steps, share of the edits that are left undone: "
        "the target is the source, the commonest flaw of real editors",
    )  # fmt: skip
    sigma: Literal["logit_normal", "uniform"] = Field(
        default="logit_normal", description="distribution of the noise levels"
    )
    sigma_floor: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="below this σ a sample counts (σ / floor)²; with 10 sampling steps the last σ is 0.15",
    )
    sigma_mean: float = Field(
        default=1.5,
        description="mean of the logit (logit_normal); high, because low noise shows already what is done "
        "where, and to find it by the instruction is learned at high noise alone",
    )
    sigma_std: float = Field(default=1.6, gt=0, description="standard deviation of the logit (logit_normal)")
    grid_every: int = Field(default=500, ge=1, description="steps between grids of samples")
    grid_edits: int = Field(default=12, ge=1, description="edits in a grid")
    sampling_steps: int = Field(default=10, ge=1, description="ODE steps of a grid's samples")

    def flawed_at(self, step: int) -> bool:
        """Whether the step with index `step` also teaches flaws."""
        return step >= self.steps * self.first_share


class PretrainSettings(BaseModel):
    """The shapes editor: first its autoencoder, then the editor on its latents."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, description="of the weights and of every batch")
    start_from: str | None = Field(
        default=None, description="a shapes editor whose weights the run begins with; random ones if absent"
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        default="bfloat16",
        description="of the computation, but on a CPU without it; weights and optimiser are float32",
    )
    vae: VaeSettings = VaeSettings()
    flow: FlowSettings = FlowSettings()
