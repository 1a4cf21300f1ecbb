"""What other packages bring along, by entry point: a picture scheme, an editor, an optimiser, a checkpoint.

The product asks by group and name and imports nothing of theirs until it is named. A package registers in its
`pyproject.toml`:

    [project.entry-points."edit_rrm.pictures"]
    shapes = "edit_rrm_shapes.world.references:picture"
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from edit_rrm.errors import PluginError

Group = Literal[
    "edit_rrm.checkpoints",
    "edit_rrm.judges",
    "edit_rrm.pictures",
    "edit_rrm.presets",
    "edit_rrm_training.editors",
    "edit_rrm_training.endpoints",
    "edit_rrm_training.optimizers",
    "edit_rrm_training.pipelines",
    "edit_rrm_training.token_weights",
    "edit_grpo.editors",
    "edit_grpo.policies",
]
"""Each group's protocol stands where it is asked for."""


def names(group: Group) -> tuple[str, ...]:
    """What is registered in a group, sorted."""
    return tuple(sorted(_points(group)))


def load(group: Group, name: str) -> Any:
    """The object registered under a name. Raises PluginError, naming those there are."""
    found = _points(group).get(name)
    if found is None:
        known = ", ".join(names(group)) or "none is installed"
        raise PluginError(f"there is no {name!r} among {group}: {known}")
    return found.load()


@cache
def _points(group: Group) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}
