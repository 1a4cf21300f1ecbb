"""Which editor a path means: a pipeline, a run, a checkpoint of it, an adapter; how it is run, and loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edit_grpo.errors import CheckpointError, SettingsError
from edit_grpo.policies.policy import EditPolicy
from edit_grpo.policies.settings import PolicySettings
from edit_grpo.run.checkpointing import POLICY, newest_checkpoint
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.settings_file import load_settings
from edit_grpo.run.training_run import SETTINGS_FILE
from edit_rrm import plugins, settings_files
from edit_rrm.errors import SettingsFileError
from edit_rrm.run_directories import FINAL, checkpoint_inside

ADAPTER, LORA_FILE = "adapter_config.json", "pytorch_lora_weights.safetensors"
Dtype = Literal["float32", "bfloat16"]
_EDITORS: plugins.Group = "edit_grpo.editors"


@dataclass(frozen=True)
class FoundEditor:
    """An editor that can be loaded; of a run it has that run's settings."""

    policy: PolicySettings
    name: str
    """What lists of its pictures call it."""
    steps: int | None = None
    """Those of its run."""
    lora: Path | None = None
    """A folder with weights as diffusers writes them, `LORA_FILE`, instead of an adapter of PEFT's."""
    checkpoint: Path | None = None
    """Of its run, with the weights of the last update beside those that were saved for use."""
    averaged: bool = False
    """Whether the weights for use are the run's moving average (optimizer.ema)."""


def find_editor(
    place: str,
    adapter: Path | None = None,
    changes: Sequence[str] = (),
    *,
    dtype: Dtype | None = None,
) -> FoundEditor:
    """The editor at `place`: a run's `final/`, or its newest checkpoint; a checkpoint; an adapter, whose run
    says the base; a pipeline's folder, or a registered editor, perhaps with an `adapter` of either layout.

    `changes` are NAME=VALUE settings of the policy; without `dtype` it is that of the run, or bfloat16.
    Raises SettingsError and CheckpointError.
    """
    lora, called = None, adapter
    adapter = None if adapter is None else checkpoint_inside(adapter)
    if adapter is not None and (adapter / LORA_FILE).is_file() and not (adapter / ADAPTER).is_file():
        lora, adapter = adapter, None
    if place in plugins.names(_EDITORS) or not Path(place).is_dir():
        policy = _policy({"name": place, "adapter": adapter}, None, changes, dtype)
        return FoundEditor(policy, (called or Path(place)).name, lora=lora)
    weights, checkpoint = _weights(Path(place))
    folder = _run_of(weights)
    run = None if folder is None else load_settings(folder / SETTINGS_FILE, ())
    if (weights / ADAPTER).is_file():
        if adapter is not None or lora is not None:
            raise SettingsError(f"{weights} is an adapter: give its base as the editor, or no other adapter")
        if run is None:
            raise SettingsError(
                f"{weights} is an adapter without its run's {SETTINGS_FILE}, which names the base: give the "
                f"base as the editor, and --adapter {weights}"
            )
        named: dict[str, str | Path | None] = {"name": run.policy.name, "adapter": weights}
    else:
        named = {"name": str(weights), "adapter": adapter}
    return FoundEditor(
        policy=_policy(named, run, changes, dtype),
        name=(called or folder or Path(place)).resolve().name,
        steps=None if run is None else run.sampling.steps,
        lora=lora,
        checkpoint=checkpoint,
        averaged=run is not None and run.optimizer.ema is not None,
    )


def load_editor(found: FoundEditor, device: str) -> EditPolicy:
    """The editor on that device, for use: without a reference, without dropout.

    Raises PolicyError, and CheckpointError for LoRA weights that are not this editor's.
    """
    from edit_grpo.policies.loading import load_policy  # diffusers takes seconds to import

    policy = load_policy(found.policy, device, keep_reference=False)
    if found.lora is not None:
        try:
            policy.pipeline.load_lora_weights(str(found.lora))
        except Exception as error:  # whatever a stranger's file makes its reader raise
            named = f"{found.lora} cannot be loaded into {found.policy.name}"
            raise CheckpointError(f"{named}: {error}") from error
        if not policy.pipeline.get_list_adapters():  # diffusers passes over weights of other names
            raise CheckpointError(f"{found.lora} holds no LoRA weights of {found.policy.name}")
    policy.module.eval()  # an adapter that can be trained further has its dropout on
    return policy


def _weights(place: Path) -> tuple[Path, Path | None]:
    """The folder with the weights for use, and the checkpoint of a run that they are from, if it is known."""
    if (place / POLICY).is_dir():
        return place / POLICY, place
    if not (place / SETTINGS_FILE).is_file():
        if place.name == FINAL:
            return place, newest_checkpoint(place.parent)
        return place, place.parent if place.name == POLICY else None
    newest = newest_checkpoint(place)
    if (place / FINAL).is_dir():
        return place / FINAL, newest
    if newest is None:
        raise CheckpointError(f"the run {place} has neither {FINAL}/ nor a checkpoint yet")
    return newest / POLICY, newest


def _run_of(weights: Path) -> Path | None:
    """The run that a checkpoint's `policy/`, or `final/`, belongs to."""
    above = weights.absolute().parents
    run = (
        above[0] if weights.name == FINAL else above[2] if weights.name == POLICY and len(above) > 2 else None
    )
    return run if run is not None and (run / SETTINGS_FILE).is_file() else None


def _policy(
    weights: dict[str, str | Path | None],
    run: TrainSettings | None,
    changes: Sequence[str],
    dtype: Dtype | None,
) -> PolicySettings:
    values = {} if run is None else run.policy.model_dump(mode="json", exclude={"lora"})
    usual = values.get("dtype", "bfloat16")
    values |= {**weights, "dtype": dtype or usual, "gradient_checkpointing": False}
    try:
        return settings_files.load_settings(
            PolicySettings, None, {**values, **settings_files.assignments(changes)}
        )
    except SettingsFileError as error:
        raise SettingsError(f"policy: {error}") from error
