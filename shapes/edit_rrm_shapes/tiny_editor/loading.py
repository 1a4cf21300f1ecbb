"""How the shapes editor is loaded: on one device, in float32, nothing of it computed twice."""

from pathlib import Path

import torch

from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.loading import BundledEditor, load_policy
from edit_grpo.policies.settings import PolicySettings
from edit_rrm_shapes.models import SHAPES_EDITOR
from edit_rrm_shapes.tiny_editor import change_transformer, vae

BUNDLED = BundledEditor(SHAPES_EDITOR, (change_transformer.__name__, vae.__name__))
"""What `shapes-editor` means to `edit-grpo`, by the entry point `edit_grpo.editors`."""


def plain_settings(name: str | Path, adapter: Path | None = None) -> PolicySettings:
    """Settings for sampling and pre-training an editor of this size."""
    return PolicySettings(name=str(name), adapter=adapter, dtype="float32", gradient_checkpointing=False)


def load_editor(
    name: str | Path, adapter: Path | None = None, device: torch.device | str = "cpu"
) -> FluxKontextPolicy:
    """An editor to sample with; no reference is kept. Raises PolicyError."""
    policy = load_policy(plain_settings(name, adapter), device, keep_reference=False)
    assert isinstance(policy, FluxKontextPolicy)
    return policy
