"""The directory of a run: whose it is, how far it came, and whether more may be asked of it.

It holds `settings.yaml`, `log.jsonl`, `tensorboard/`, `checkpoint-N/` to resume from, and at last `final/`,
which a server loads.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from edit_rrm.run_directories import FINAL
from edit_rrm.settings_files import changed_settings
from edit_rrm.whole_files import write_whole
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs.checkpoints import is_whole
from edit_rrm_training.runs.settings import GcpoConfig, RunSettings

STATE = "trainer_state.json"
"""The last file of a checkpoint that the trainer writes."""
_SETTINGS = "settings.yaml"
_FREE = frozenset({"workers", "log_every", "save_every", "keep", "samples_every", "wandb"})


def check_directory(settings: RunSettings) -> None:
    """Raises SettingsError, naming them, when the run in `settings.out` was begun with other settings: its
    curve would be neither's. More steps are the same curve where the rate stays. Writes nothing."""
    begun = _begun(settings)
    if begun is None:
        return
    names = [name for name in changed_settings(begun, settings.model_dump(mode="json")) if name not in _FREE]
    if "steps" in names:
        names.remove("steps")
        _check_more_steps(begun["steps"], settings)
        last = settings.out / f"checkpoint-{begun['steps']}"
        if is_whole(settings.out / FINAL) and last_checkpoint(settings.out) != last:
            raise SettingsError(f"steps: {last}, from which the run would go on, is gone")
    if names:
        raise SettingsError(f"the run in {settings.out} was begun with other values of {', '.join(names)}")


def claim_directory(settings: RunSettings) -> None:
    """Begins a run in `settings.out`, or finds that it is the one begun there. Raises as `check_directory`.

    What was final after fewer steps goes: the last checkpoint has its weights. To be called once all that the
    run reads was found, so that a slip of the pen begins nothing.
    """
    check_directory(settings)
    file, final = settings.out / _SETTINGS, settings.out / FINAL
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    if is_whole(final) and not is_finished(settings):
        shutil.rmtree(final)
    write_whole(file, text)


def is_finished(settings: RunSettings) -> bool:
    """Whether the run in `settings.out` has come to its end, and no more steps are asked of it."""
    begun = _begun(settings)
    return is_whole(settings.out / FINAL) and (begun is None or begun["steps"] >= settings.steps)


def last_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint of a run; one that a kill left half written is passed over."""
    whole = [path for path in out.glob("checkpoint-*") if _is_json(path / STATE)]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _check_more_steps(begun: int, settings: RunSettings) -> None:
    run = f"the run in {settings.out} was begun with {begun} steps"
    if settings.steps < begun:
        raise SettingsError(f"steps: {run}: they can be raised, not lowered to {settings.steps}")
    if settings.lr_schedule != "constant":
        raise SettingsError(
            f"steps: {run}, at the last of which its rate, {settings.lr_schedule}, is 0: only where the rate "
            f"stays (constant) can steps be raised. Begin another run: base={settings.out}, another out"
        )
    if isinstance(settings, GcpoConfig) and begun % settings.updates_per_rollout:
        raise SettingsError(f"steps: {run}, which ends within a rollout: they cannot be raised")


def _begun(settings: RunSettings) -> dict[str, Any] | None:
    """What the run in `settings.out` was begun with, if there is one; a setting that is younger than the run
    has its default."""
    file = settings.out / _SETTINGS
    if not file.exists():
        return None
    begun: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    try:
        return type(settings).model_validate(begun).model_dump(mode="json")
    except ValidationError:  # a setting that is no more, which the comparison names
        return begun


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return True
