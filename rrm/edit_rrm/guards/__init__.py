"""Guards: deterministic image checks that stop the cheap ways to please a reward model (docs/guards.md).

They know pixels and the words of an instruction, and nothing of models, HTTP or judges. A guard that fires
may decide a reward without the model, so each stays silent when in doubt, and none decides what it was
asked for.
"""

from edit_rrm.guards.alignment import Alignment
from edit_rrm.guards.asked import Asked, asked_for
from edit_rrm.guards.checking import EditGuards, GuardResult, ceiling_of, check_guards, reward_ceiling
from edit_rrm.guards.maps import ChangeMap
from edit_rrm.guards.modes import GUARD_NAMES, GuardMode, GuardModes, GuardName, guard_modes
from edit_rrm.guards.settings import GuardSettings

__all__ = [
    "GUARD_NAMES", "Alignment", "Asked", "ChangeMap", "EditGuards", "GuardMode", "GuardModes", "GuardName",
    "GuardResult", "GuardSettings", "asked_for", "ceiling_of", "check_guards", "guard_modes",
    "reward_ceiling",
]  # fmt: skip
