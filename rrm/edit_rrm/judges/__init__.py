"""The prompt profiles by name: `trained` for our checkpoints, `zero_shot` for any instruction-tuned VLM."""

from edit_rrm.errors import CheckpointError
from edit_rrm.judges.trained import TrainedProfile
from edit_rrm.judges.zero_shot import ZeroShotProfile
from edit_rrm.prompts import PromptProfile


def get_profile(name: str) -> PromptProfile:
    """The profile of that name. Raises CheckpointError for an unknown one."""
    profiles: dict[str, PromptProfile] = {"trained": TrainedProfile(), "zero_shot": ZeroShotProfile()}
    if name not in profiles:
        raise CheckpointError(f"unknown prompt profile {name!r}; expected one of {sorted(profiles)}")
    return profiles[name]


__all__ = ["TrainedProfile", "ZeroShotProfile", "get_profile"]
