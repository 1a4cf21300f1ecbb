"""Which steps of a trajectory are stochastic: all of them, or a window of a few with the ODE elsewhere.

Training on a few steps costs a fraction of training on all of them and is as good: MixGRPO (arXiv
2507.21802), and Flow-GRPO-Fast in Flow-GRPO's own repository (yifan123/flow_grpo). The last step is always
deterministic: its target has no noise left to draw.
"""

import random
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class WindowSettings(BaseModel):
    """Where the stochastic steps lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="stochastic steps in a row; all but the last one when absent"
    )
    first: int = Field(default=0, ge=0, description="index of the earliest step a window may begin at")
    last: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="index of the latest step a window may begin at; where it still fits if absent",
    )
    placement: Literal["random", "sliding"] = Field(
        default="random",
        description="drawn anew for each group, or one step further every `every` updates",
    )
    every: int = Field(default=25, ge=1, description="updates a sliding window stays where it is")


def stochastic_steps(settings: WindowSettings, steps: int, update: int, rng: random.Random) -> range:
    """The indices of the stochastic steps of a trajectory of `steps` steps.

    Raises ValueError when no window of that size fits.
    """
    usable = steps - 1
    size = usable if settings.size is None else settings.size
    latest = usable - size if settings.last is None else min(settings.last, usable - size)
    if size < 1 or latest < settings.first:
        raise ValueError(
            f"no window of {size} stochastic steps from step {settings.first} on fits {steps} steps, "
            "whose last is deterministic"
        )
    places = latest - settings.first + 1
    offset = rng.randrange(places) if settings.placement == "random" else update // settings.every % places
    return range(settings.first + offset, settings.first + offset + size)
