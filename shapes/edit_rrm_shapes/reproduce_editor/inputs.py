"""What a stage reads beside the plan's numbers: the training's settings, the editor, the reward models.

They are stored with a stage, so that a table never compares runs of two recipes or of two editors.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edit_grpo.policies.loading import folder_of
from edit_grpo.run.settings_file import fixed_settings, load_settings
from edit_rrm.checkpoint import checkpoint_directory
from edit_rrm_shapes.reproduce_editor.plan import EditPlan, Reward
from edit_rrm_shapes.reproduce_editor.serving import is_address

OF_THE_PLAN = ("data.", "grid_", "seed", "policy.name")
"""Settings that the plan decides for each run."""


@dataclass(frozen=True)
class Inputs:
    """Digests of files, and settings by dotted name."""

    training: Mapping[str, Any]
    editor: str
    rewards: Mapping[Reward, str]
    """A digest, or the address of a service, whose weights nobody here can see."""


def inputs_of(plan: EditPlan, config: Path) -> Inputs:
    """Reads them. Raises SettingsError and PolicyError for what is not there."""
    settings = fixed_settings(load_settings(config, plan.settings))
    return Inputs(
        {name: value for name, value in settings.items() if not name.startswith(OF_THE_PLAN)},
        digest_of(folder_of(plan.editor)),
        {
            name: model if is_address(model) else digest_of(checkpoint_directory(model))
            for name, model in plan.rewards.items()
        },
    )


def digest_of(folder: Path) -> str:
    """Of the names and bytes of all files below it."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\n{file.stat().st_size}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
