"""Which layers get adapters, in each family's transformer at its full size: counted block by block."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import Flux2Transformer2DModel, FluxTransformer2DModel, QwenImageTransformer2DModel
from editor_families import FAMILIES, KLEIN, KONTEXT, QWEN, Family

from edit_grpo.policies.errors import PolicySettingsError
from edit_grpo.policies.lora_layers import LoraLayers

# A block of two streams has q, k, v and the output of each in its attention, and two layers in each MLP. One
# of a single stream has q, k, v, what goes into its MLP and what comes out of both; FLUX.2 fuses the inputs.
FULL_SIZE = [
    (KONTEXT, FluxTransformer2DModel, 19 * 8 + 38 * 3, 19 * 4 + 38 * 2, 261),
    (QWEN, QwenImageTransformer2DModel, 60 * 8, 60 * 4, 425),
    (KLEIN, Flux2Transformer2DModel, 8 * 8 + 48 * 2, 8 * 4, 403),
]


@pytest.mark.parametrize(
    ("family", "kind", "attention", "mlp", "millions"),
    FULL_SIZE,
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_layer_of_every_block_is_meant_and_none_besides(
    family: Family, kind: Any, attention: int, mlp: int, millions: int
) -> None:
    with torch.device("meta"):
        transformer = kind()  # without a configuration it has the blocks of the large one
    layers = family.policy.LORA_LAYERS
    linear = {n: each for n, each in transformer.named_modules() if isinstance(each, torch.nn.Linear)}
    blocks = {n for n in linear if "transformer_blocks." in n and "norm" not in n and "_mod." not in n}
    first, second = ({n for n in linear if re.fullmatch(kind, n)} for kind in (layers.attention, layers.mlp))
    assert (len(first), len(second)) == (attention, mlp)
    assert first | second == blocks
    assert not first & second
    adapters = sum(64 * (linear[name].in_features + linear[name].out_features) for name in blocks)
    assert round(adapters / 1e6) == millions  # parameters at rank 64, as docs/notes/editor-settings.md says


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("targets", ["attention+mlp", "attention"])
def test_adapters_are_on_the_layers_that_are_meant(family: Family, targets: str, tmp_path: Path) -> None:
    policy = family.load(family.save(tmp_path), lora={"rank": 2, "targets": targets})
    adapted = {
        name.removeprefix("base_model.model.")
        for name, each in policy.module.named_modules()
        if hasattr(each, "lora_A")
    }
    layers = family.policy.LORA_LAYERS
    kinds = [layers.attention, layers.mlp] if targets == "attention+mlp" else [layers.attention]
    assert all(any(re.fullmatch(kind, name) for kind in kinds) for name in adapted)
    expected = {
        "kontext": (8 + 3, 4 + 2),  # one block of each kind
        "qwen-image-edit": (2 * 8, 2 * 4),
        "qwen-image-edit-2509": (2 * 8, 2 * 4),
        "qwen-image-edit-2511": (2 * 8, 2 * 4),
        "flux2-klein": (8 + 2, 4),
    }[family.name]
    assert len(adapted) == sum(expected[: len(kinds)])
    assert len(policy.trainable()) == 2 * len(adapted)


def test_what_is_asked_for_by_name_must_be_there() -> None:
    layers, names = LoraLayers("a", "b"), ["blocks.0.to_q", "blocks.0.to_k", "proj_out"]
    assert layers.targets(("to_q", "proj_out"), names) == ["to_q", "proj_out"]
    assert layers.targets(r"blocks\.\d\.to_[qk]", names) == r"blocks\.\d\.to_[qk]"
    with pytest.raises(PolicySettingsError, match=r"is called o_q, to_v; `attention\+mlp` are those"):
        layers.targets(("to_q", "o_q", "to_v"), names)
    with pytest.raises(PolicySettingsError, match=r"is called blocks\.to_q"):
        layers.targets("blocks.to_q", names)
