"""docs/add-an-editor.md: its class, registered as it says, trains what had no policy."""

import json
import tomllib
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from editor_families import KONTEXT

from edit_grpo.policies import loading
from edit_grpo.policies.errors import UnknownPolicyError
from edit_grpo.policies.settings import PolicySettings
from guide_blocks import blocks_of
from tiny_pipelines import INSTRUCTIONS

BLOCKS = {
    block.language: block.code for block in blocks_of("add-an-editor.md") if block.heading == "Add an editor"
}


def test_the_guide_s_policy_trains_a_pipeline_that_had_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = tomllib.loads(BLOCKS["toml"])["project"]["entry-points"]["edit_grpo.policies"]
    ((pipeline, place),) = registered.items()
    assert hasattr(diffusers, pipeline)
    folder = KONTEXT.save(tmp_path)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": pipeline}))
    settings = PolicySettings(name=str(folder), dtype="float32", gradient_checkpointing=False)
    with pytest.raises(UnknownPolicyError, match=f"holds a {pipeline}; there are policies for Flux2Klein"):
        loading.load_policy(settings)

    module: dict[str, Any] = {"__name__": place.partition(":")[0]}
    exec(compile(BLOCKS["python"], "add-an-editor.md", "exec"), module)
    found = {"edit_grpo.policies": {pipeline: module[place.partition(":")[2]]}, "edit_grpo.editors": {}}
    monkeypatch.setattr(loading.plugins, "names", lambda group: tuple(found[group]))
    monkeypatch.setattr(loading.plugins, "load", lambda group, name: found[group][name])
    policy = loading.load_policy(settings)
    condition = policy.encode([KONTEXT.sources()], INSTRUCTIONS[:1])
    noise = policy.noise(condition, torch.Generator().manual_seed(0))
    kontext = KONTEXT.load(KONTEXT.save(tmp_path / "kontext"), guidance_scale=None)
    with torch.no_grad():
        velocities = [each.velocity(noise, torch.tensor([0.5]), condition) for each in (policy, kontext)]
    assert torch.equal(*velocities)
