"""A run's settings from a file and the command line, and which of them a run may be taken up again with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from edit_grpo.errors import SettingsError
from edit_grpo.run.settings import TrainSettings
from edit_rrm import settings_files
from edit_rrm.errors import SettingsFileError
from edit_rrm.nested_settings import flat

RESUMABLE = frozenset({"out", "updates", "save_every", "keep", "candidates_every", "wandb"})
"""What a run may be continued with anew, beside those of RESUMABLE_REWARD and RESUMABLE_MEMORY."""
RESUMABLE_REWARD = frozenset({
    "urls", "api_key_env", "deadline_s", "attempts", "patience_s", "poll_s", "max_empty_updates", "overlap",
})  # fmt: skip
RESUMABLE_MEMORY = {"data": "cache_mib", "policy": "text_encoders"}
"""Settings of where encoded edits and encoders lie, by their sections."""


def load_settings(file: Path | None, assignments: Sequence[str]) -> TrainSettings:
    """The settings of `file` with `NAME=VALUE` assignments, whose values are read as YAML, before it.

    Raises SettingsError, naming every field that is wrong.
    """
    try:
        return settings_files.load_settings(TrainSettings, file, settings_files.assignments(assignments))
    except SettingsFileError as error:
        raise SettingsError(str(error)) from error


def write_settings(settings: TrainSettings, path: Path) -> None:
    """Writes them as YAML that `load_settings` reads."""
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def check_resumable(begun: TrainSettings, now: TrainSettings) -> None:
    """Raises SettingsError when a run begun with `begun` would not be the same run under `now`."""
    changed = settings_files.changed_settings(fixed_settings(begun), fixed_settings(now))
    if changed:
        raise SettingsError(
            f"{now.out} was begun with other settings ({', '.join(changed)}); "
            "continue it with the same ones, or choose another out"
        )


def fixed_settings(settings: TrainSettings) -> Mapping[str, Any]:
    """The settings that decide the run's weights, flattened by dotted name."""
    values = settings.model_dump(mode="json", exclude=set(RESUMABLE))
    for name in RESUMABLE_REWARD:
        values["reward"].pop(name)
    for section, name in RESUMABLE_MEMORY.items():
        values[section].pop(name)
    if settings.optimizer.schedule != "constant":
        values["updates"] = settings.updates  # the schedule ends there
    return flat(values)
