"""From a name or a folder to a policy."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline

from edit_grpo.policies.errors import PolicyFolderError, UnknownPolicyError
from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.qwen_image_edit import QwenImageEditPolicy
from edit_grpo.policies.settings import PolicySettings
from edit_rrm_shapes.tiny_editor import change_transformer
from edit_rrm_shapes.tiny_editor import vae as shapes_vae

SHAPES_PARTS = (change_transformer, shapes_vae)
"""diffusers loads the shapes editor's own classes only from modules that are imported already."""
BUNDLED = {"shapes-editor": Path(__file__).parent.parent / "models" / "shapes-editor"}
_POLICIES: dict[str, type[FluxKontextPolicy] | type[QwenImageEditPolicy]] = {
    "FluxKontextPipeline": FluxKontextPolicy,
    "QwenImageEditPipeline": QwenImageEditPolicy,
}


def load_policy(
    name_or_folder: str | Path,
    settings: PolicySettings | None = None,
    device: torch.device | str = "cpu",
) -> FluxKontextPolicy | QwenImageEditPolicy:
    """The policy of a bundled editor or of a diffusers pipeline's folder, in evaluation mode on `device`.

    Raises UnknownPolicyError, PolicyFolderError, PolicySettingsError.
    """
    settings = settings or PolicySettings()
    folder, found = folder_of(name_or_folder), pipeline_class(name_or_folder)
    kind = _POLICIES.get(found)
    if kind is None:
        raise UnknownPolicyError(f"{folder} holds a {found}; there are policies for {', '.join(_POLICIES)}")
    return kind(_load_pipeline(folder, settings).to(device), settings)


def folder_of(name_or_folder: str | Path) -> Path:
    """Where a bundled editor lies, or the folder itself."""
    return BUNDLED.get(str(name_or_folder), Path(name_or_folder))


def pipeline_class(name_or_folder: str | Path) -> str:
    """What its index says it is. Raises UnknownPolicyError, PolicyFolderError."""
    asked = str(name_or_folder)
    folder = folder_of(asked)
    index = folder / "model_index.json"
    if not index.is_file():
        if asked in BUNDLED:
            raise PolicyFolderError(f"the bundled {asked} is not in this installation: {index} is missing")
        if folder.is_dir():
            raise PolicyFolderError(f"{folder} is not a diffusers pipeline's folder: no model_index.json")
        raise UnknownPolicyError(
            f"{asked!r} is neither a bundled editor ({', '.join(BUNDLED)}) nor a folder; give the folder "
            "that `save_pretrained` of a diffusers pipeline wrote"
        )
    found: str = json.loads(index.read_text(encoding="utf-8")).get("_class_name", "pipeline without a name")
    return found


def _load_pipeline(folder: Path, settings: PolicySettings) -> Any:
    try:
        return DiffusionPipeline.from_pretrained(
            str(folder), dtype=settings.torch_dtype, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise PolicyFolderError(f"{folder} cannot be loaded as a diffusers pipeline: {error}") from error
