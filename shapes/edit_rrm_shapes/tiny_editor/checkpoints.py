"""A pre-training run on disk: a stage's state in one file, replaced at once, and the settings beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edit_rrm.nested_settings import flat
from edit_rrm_shapes.errors import RunFolderError
from edit_rrm_shapes.tiny_editor.settings import PretrainSettings

SETTINGS = "settings.json"


@dataclass(frozen=True)
class RunState:
    """After `step` steps."""

    data_digest: str
    """Of the edits it was begun with."""
    step: int
    elapsed_s: float
    weights: list[dict[str, Any]]
    """Of the trained modules, in order."""
    optimizer: dict[str, Any]
    average: dict[str, Any]


def claim_folder(directory: Path, settings: PretrainSettings) -> None:
    """Makes the folder this run's; RunFolderError when it is another's."""
    path = directory / SETTINGS
    if path.exists():
        begun = PretrainSettings.model_validate_json(path.read_text(encoding="utf-8"))
        before, now = (flat(each.model_dump()) for each in (begun, settings))
        changed = [f"{name} {before[name]} → {now[name]}" for name in now if before[name] != now[name]]
        if changed:
            raise RunFolderError(
                f"{directory} holds a run with other settings ({', '.join(changed)}): give them as they "
                "were to go on with it, or another --out"
            )
        return
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(settings.model_dump_json(indent=2) + "\n", encoding="utf-8")


def save_state(directory: Path, stage: str, state: RunState) -> None:
    """Writes beside the old state and moves it there, so that a kill leaves one whole."""
    partial = directory / f"{stage}.pt.partial"
    torch.save(state.__dict__, partial)
    partial.replace(directory / f"{stage}.pt")


def load_state(directory: Path, stage: str, data_digest: str) -> RunState | None:
    """A stage's last state, None where it has none; RunFolderError when it was begun with other edits."""
    path = directory / f"{stage}.pt"
    if not path.exists():
        return None
    state = RunState(**torch.load(path, weights_only=True, map_location="cpu"))
    if state.data_digest != data_digest:
        raise RunFolderError(
            f"{directory} holds a run that was begun with other edits: give the same --data in the same "
            "order to go on with it, or another --out"
        )
    return state
