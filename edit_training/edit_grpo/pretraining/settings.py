"""The settings of a pre-training run: one model, written beside the run and compared when it goes on."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PretrainSettings(BaseModel):
    """Flow matching on shapes edits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, description="of the weights and of every batch")
    start_from: str | None = Field(
        default=None, description="a shapes editor whose weights the run begins with; random ones if absent"
    )
    steps: int = Field(default=4500, ge=1, description="optimiser steps of the whole run")
    batch_size: int = Field(default=32, ge=1, description="edits a step")
    lr: float = Field(default=1e-3, gt=0, description="AdamW's highest learning rate")
    warmup_steps: int = Field(default=100, ge=1, description="steps in which the learning rate rises")
    decay_share: float = Field(
        default=0.4, gt=0, le=1, description="share of the steps, at the end, in which it falls to 0"
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        default="bfloat16",
        description="of the computation, but on a CPU without it; weights and optimiser are float32",
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's")
    clip_norm: float = Field(default=1.0, gt=0, description="gradients are scaled down to this norm")
    ema_decay: float = Field(default=0.999, ge=0, lt=1, description="of the averaged weights that are kept")
    temperature: float = Field(
        default=3.0,
        gt=0,
        description="a candidate of score s is drawn with weight exp((s − 10) / temperature): "
        "low teaches good edits only, high also the flaws, in their proportion",
    )
    first_temperature: float = Field(
        default=0.7,
        gt=0,
        description="the temperature at first: with good edits alone, what is to be done "
        "follows from the instruction, and that is what takes longest to learn",
    )
    first_share: float = Field(
        default=0.65, ge=0, le=1, description="share of the steps, from the first on, with that temperature"
    )
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
        default=2.5,
        description="mean of the logit (logit_normal); high, because below σ = 0.95 the noised picture shows "
        "already what is done where, and to find it by the instruction is learned above alone",
    )
    sigma_std: float = Field(default=1.8, gt=0, description="standard deviation of the logit (logit_normal)")
    checkpoint_every: int = Field(default=200, ge=1, description="steps between checkpoints")
    grid_every: int = Field(default=500, ge=1, description="steps between grids of samples")
    grid_edits: int = Field(default=12, ge=1, description="edits in a grid")
    sampling_steps: int = Field(default=10, ge=1, description="ODE steps of a grid's samples")

    def temperature_at(self, step: int) -> float:
        """The temperature of the step with index `step`."""
        return self.first_temperature if step < self.steps * self.first_share else self.temperature

    def lr_at(self, step: int) -> float:
        """The learning rate of the step with index `step`, from 0: up, level, linearly to 0."""
        rising = min(1.0, (step + 1) / self.warmup_steps)
        falling = min(1.0, (self.steps - step) / max(1, math.ceil(self.steps * self.decay_share)))
        return self.lr * rising * falling
