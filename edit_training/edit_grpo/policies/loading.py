"""From a name or a folder to a policy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils.logging import disable_progress_bar

from edit_grpo.policies.diffusers_policy import DiffusersPolicy
from edit_grpo.policies.errors import PolicyFolderError, UnknownPolicyError
from edit_grpo.policies.flux2_klein import Flux2KleinPolicy
from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.qwen_image_edit import QwenImageEditPolicy
from edit_grpo.policies.qwen_image_edit_plus import QwenImageEditPlusPolicy
from edit_grpo.policies.settings import PolicySettings
from edit_rrm import plugins
from edit_rrm.nearest import did_you_mean
from edit_rrm.quiet_libraries import bars_are_hidden
from edit_rrm.run_directories import checkpoint_inside, what_it_holds

_GROUP: plugins.Group = "edit_grpo.editors"
_POLICY_GROUP: plugins.Group = "edit_grpo.policies"
_POLICIES: dict[str, type[DiffusersPolicy]] = {
    "FluxKontextPipeline": FluxKontextPolicy,
    "Flux2KleinPipeline": Flux2KleinPolicy,
    "QwenImageEditPipeline": QwenImageEditPolicy,
    "QwenImageEditPlusPipeline": QwenImageEditPlusPolicy,
}
"""By the pipeline's class; other packages register theirs in the group `edit_grpo.policies`."""


@dataclass(frozen=True)
class BundledEditor:
    """An editor that a package brings along, registered under its name in the group `edit_grpo.editors`.

    diffusers loads classes that are not its own only from modules that are imported already: `modules` names
    those of the editor's parts, which whoever makes this object has imported.
    """

    folder: Path
    modules: tuple[str, ...] = ()


def load_policy(
    settings: PolicySettings, device: torch.device | str = "cpu", *, keep_reference: bool = True
) -> DiffusersPolicy:
    """The policy of a registered editor or of a diffusers pipeline's folder, in evaluation mode on `device`.

    `keep_reference`: whether a copy of the first weights is kept where all of them are trained.
    Raises UnknownPolicyError, PolicyFolderError, PolicySettingsError.
    """
    folder, index = folder_of(settings.name), _index_of(settings.name)
    found = _class_of(index)
    kind = _policy_class(found, folder)
    _import_parts(index)
    pipeline = _load_pipeline(folder, settings)
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module) and name not in kind.TEXT_ENCODERS:
            part.to(device)  # text encoders come when there is something to encode
    return kind(pipeline, settings, keep_reference=keep_reference)


def _policy_class(pipeline: str, folder: Path) -> type[DiffusersPolicy]:
    """Of a pipeline's class: one of ours, or one that a package registers. Raises UnknownPolicyError."""
    registered = plugins.names(_POLICY_GROUP)
    if pipeline in registered:
        found: type[DiffusersPolicy] = plugins.load(_POLICY_GROUP, pipeline)
        return found
    if pipeline not in _POLICIES:
        known = ", ".join(sorted({*_POLICIES, *registered}))
        raise UnknownPolicyError(f"{folder} holds a {pipeline}; there are policies for {known}")
    return _POLICIES[pipeline]


def folder_of(name_or_folder: str | Path) -> Path:
    """Where a registered editor lies, or the folder itself; that of a run means its `final/`."""
    name = str(name_or_folder)
    return _registered(name).folder if name in plugins.names(_GROUP) else checkpoint_inside(Path(name))


def pipeline_class(name_or_folder: str | Path) -> str:
    """What its index says it is. Raises UnknownPolicyError, PolicyFolderError."""
    return _class_of(_index_of(name_or_folder))


def _registered(name: str) -> BundledEditor:
    editor: BundledEditor = plugins.load(_GROUP, name)
    return editor


def _class_of(index: Mapping[str, Any]) -> str:
    return str(index.get("_class_name", "pipeline without a name"))


def _index_of(name_or_folder: str | Path) -> Mapping[str, Any]:
    asked, folder = str(name_or_folder), folder_of(name_or_folder)
    file = folder / "model_index.json"
    if not file.is_file():
        known = plugins.names(_GROUP)
        if asked in known:
            raise PolicyFolderError(f"the editor {asked} is not in this installation: {file} is missing")
        if folder.is_dir():
            raise PolicyFolderError(
                f"{folder} is not a diffusers pipeline's folder: no model_index.json; {what_it_holds(folder)}"
            )
        raise UnknownPolicyError(
            f"{asked!r} is neither a registered editor ({', '.join(known) or 'there is none'}; "
            "edit-rrm-shapes brings shapes-editor) nor a folder; give the folder "
            f"that `save_pretrained` of a diffusers pipeline wrote{did_you_mean(asked, known)}"
        )
    index: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return index


def _import_parts(index: Mapping[str, Any]) -> None:
    """Loads the registered editor whose classes a pipeline is made of: it may be a copy trained further."""
    libraries = {part[0] for part in index.values() if isinstance(part, list) and part and part[0]}
    for name in plugins.names(_GROUP) if libraries - {"diffusers", "transformers"} else ():
        if libraries & set(_registered(name).modules):
            return


def _load_pipeline(folder: Path, settings: PolicySettings) -> Any:
    if bars_are_hidden():
        disable_progress_bar()
    try:
        return DiffusionPipeline.from_pretrained(
            str(folder), dtype=getattr(torch, settings.dtype), use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise PolicyFolderError(f"{folder} cannot be loaded as a diffusers pipeline: {error}") from error
