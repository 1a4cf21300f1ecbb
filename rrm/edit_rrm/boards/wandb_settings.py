"""What a run says to Weights & Biases about itself: the section `wandb` of both trainers' settings."""

from typing import Literal

from pydantic import Field

from edit_rrm.nested_settings import Section


class WandbSettings(Section):
    """Weights & Biases beside TensorBoard. The key comes from `wandb login` or WANDB_API_KEY."""

    project: str = Field(min_length=1, description="project that the run belongs to")
    entity: str | None = Field(default=None, description="team or user of the project; absent: the key's own")
    name: str | None = Field(default=None, description="name of the run; absent: its directory's")
    group: str | None = Field(default=None, description="runs that are compared, such as seeds of one run")
    tags: tuple[str, ...] = Field(default=(), description="labels of the run")
    mode: Literal["online", "offline"] | None = Field(
        default=None,
        description="offline writes to OUT/wandb and needs no network; absent: as WANDB_MODE says, or online",
    )
