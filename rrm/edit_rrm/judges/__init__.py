"""How families of judges are asked, and how their answers become numbers. It runs no model and knows no HTTP.

A judge is one of ours by its profile (`trained`, `zero_shot`), a judge file (spec.py), or what another
package registers as `edit_rrm.judges`.
"""

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
