"""Settings of the algorithms: what belongs to one of them stands in its section."""

from typing import Literal, Self

from pydantic import Field, model_validator

from edit_grpo.rollout.windows import WindowSettings
from edit_rrm.nested_settings import Section


class GroupSettings(Section):
    """From a group's rewards to advantages, for either algorithm."""

    std_floor: float = Field(
        default=1e-3, gt=0.0, description="a group whose rewards' std is smaller is skipped and counted"
    )
    advantage_clip: float = Field(default=5.0, gt=0.0, description="bound of |A|")


class GrpoSettings(GroupSettings):
    """Flow-GRPO: policy gradient over stochastic denoising steps."""

    name: Literal["grpo"] = Field(default="grpo", description="chooses Flow-GRPO, whose settings these are")
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

    name: Literal["diffusion_nft"] = Field(
        default="diffusion_nft", description="chooses DiffusionNFT, whose settings these are"
    )
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
