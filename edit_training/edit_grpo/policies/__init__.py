"""Editors that can be trained, on diffusers' own transformers, VAEs and schedulers."""

from edit_grpo.policies.errors import (
    NoReferenceError,
    PictureSizeError,
    PolicyError,
    PolicyFolderError,
    PolicySettingsError,
    UnknownPolicyError,
)
from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.loading import load_policy
from edit_grpo.policies.qwen_image_edit import QwenImageEditPolicy
from edit_grpo.policies.settings import LoraSettings, PolicySettings

__all__ = [
    "FluxKontextPolicy",
    "LoraSettings",
    "NoReferenceError",
    "PictureSizeError",
    "PolicyError",
    "PolicyFolderError",
    "PolicySettings",
    "PolicySettingsError",
    "QwenImageEditPolicy",
    "UnknownPolicyError",
    "load_policy",
]
