"""What `load_policy` says to names and folders that are no policy."""

import json
from pathlib import Path

import pytest

from edit_grpo.policies.errors import PolicyFolderError, UnknownPolicyError
from edit_grpo.policies.loading import load_policy
from edit_grpo.policies.settings import PolicySettings


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(UnknownPolicyError, match=r"'shape-editor' is neither .*shapes-editor.* nor a folder"):
        load_policy(PolicySettings(name="shape-editor"))


def test_a_folder_without_a_pipeline_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyFolderError, match=r"no model_index\.json"):
        load_policy(PolicySettings(name=str(tmp_path)))


def test_a_pipeline_without_a_policy_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    with pytest.raises(UnknownPolicyError, match=r"StableDiffusionPipeline.*FluxKontextPipeline"):
        load_policy(PolicySettings(name=str(tmp_path)))


def test_a_pipeline_folder_that_lacks_its_parts_is_named(tmp_path: Path) -> None:
    index = {"_class_name": "FluxKontextPipeline", "vae": ["diffusers", "AutoencoderKL"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(PolicyFolderError, match="cannot be loaded"):
        load_policy(PolicySettings(name=str(tmp_path)))


def test_a_new_and_a_saved_adapter_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        PolicySettings.model_validate({"name": "any", "lora": {}, "adapter": "somewhere"})
