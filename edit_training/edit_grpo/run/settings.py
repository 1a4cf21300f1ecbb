"""`TrainSettings`: everything that a run of `edit-grpo train` can be told. One documented model.

Each room owns its section. It knows no files and no command line (settings_file.py). A setting without effect
is an error.
"""

import random
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from edit_grpo.algorithms.settings import GrpoSettings, NftSettings
from edit_grpo.data.settings import DataSettings
from edit_grpo.policies.settings import PolicySettings
from edit_grpo.reward.settings import RewardSettings
from edit_grpo.rollout.settings import SamplingSettings
from edit_grpo.rollout.windows import stochastic_steps
from edit_rrm.boards import WandbSettings
from edit_rrm.nested_settings import Section


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
    grid_every: int | None = Field(
        default=25, ge=1, description="updates between grids, and one after the last; absent: none"
    )
    grid_edits: int = Field(default=8, ge=1, le=64, description="held-out edits in a grid")
    candidates_every: int | None = Field(
        default=25,
        ge=1,
        description="updates between pictures of candidates with their rewards, on TensorBoard and Weights & "
        "Biases; the first and the last update have one too; absent: none",
    )
    wandb: WandbSettings | None = Field(
        default=None, description="Weights & Biases beside TensorBoard; absent: not"
    )
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
