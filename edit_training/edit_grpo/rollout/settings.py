"""Settings of how candidates are drawn."""

from pydantic import Field

from edit_rrm.nested_settings import Section


class SamplingSettings(Section):
    """How candidates are drawn."""

    group_size: int = Field(default=24, ge=2, le=64, description="G: candidates of one edit")
    groups: int = Field(default=8, ge=1, description="groups of one update, over all processes")
    steps: int = Field(default=10, ge=2, description="denoising steps of a candidate")
    micro_batch: int = Field(
        default=4, ge=1, description="candidates of one forward pass, in rollout and update alike"
    )
