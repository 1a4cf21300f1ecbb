"""Thresholds of the guards, and the sizes they work at."""

from pydantic import BaseModel, ConfigDict, Field

from edit_rrm.guards.frames import DEEPEST
from edit_rrm.guards.modes import GuardMode, GuardName


class GuardSettings(BaseModel):
    """What an operator may set. The defaults are those of benchmarks/guards.py."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modes: dict[GuardName, GuardMode] = Field(
        default_factory=dict,
        description="enforce, report or off for some of them, before what the checkpoint's card says; a "
        "request may say otherwise",
    )
    working_side: int = Field(default=256, ge=32, description="longest side in pixels for comparing")
    fine_side: int = Field(
        default=720, ge=32, description="longest side at which a candidate like its source is looked at again"
    )
    no_edit_change: float = Field(
        default=0.065, ge=0.0, le=1.0, description="a smaller `no_edit` value fires (share of full scale)"
    )
    blank_range: float = Field(
        default=0.04, ge=0.0, le=1.0, description="a smaller `blank` value fires (share of full scale)"
    )
    border_depth: float = Field(
        default=0.01, gt=0.0, le=DEEPEST, description="a `border` value this large fires (share of a side)"
    )
    border_tolerance: float = Field(
        default=0.06, ge=0.0, le=1.0, description="a frame's noise, peak (share of full scale)"
    )
    size_change: float = Field(
        default=0.05, ge=0.0, description="a larger `size` value fires (relative change of the aspect ratio)"
    )


DEFAULT_SETTINGS = GuardSettings()
