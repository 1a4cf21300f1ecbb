"""Bases of other families than Qwen2.5-VL, each a tiny random checkpoint of its very class (tests/families):
three steps of SFT, full, and from what that leaves three of GCPO, with adapters."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from any_text import AnyCharacters
from peft import get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from edit_rrm.checkpoint import read_card
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.gcpo import run as gcpo_run
from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.runs.checkpoints import lora_config
from edit_rrm_training.runs.settings import GcpoConfig, RrmLora, SftConfig, VllmSettings
from edit_rrm_training.sft.run import run_sft
from families.checkpoints import FAMILIES, save_family
from shapes_rows import pair, verify_row, write_lines

ROOT = Path(__file__).parents[2]
ACCELERATE = ROOT / "rrm_training" / "configs" / "accelerate"
BASES = ("qwen2_5_vl", "qwen3_vl", "qwen3_5", "internvl", "gemma3")
SHARING = ("qwen2_5_vl", "qwen3_vl")
_LAYERS = {"qwen3_5": (4, 2)}  # of the tiny checkpoints: text and vision


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return {
        name: weight for file in checkpoint.glob("*.safetensors") for name, weight in load_file(file).items()
    }


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("key", BASES)
def test_a_base_takes_three_steps_of_sft_and_three_of_gcpo(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = save_family(key, tmp_path / "base")
    rows = write_lines(tmp_path / "rows.jsonl", [verify_row(index) for index in range(2)])
    common: dict[str, Any] = {
        "steps": 3, "dtype": "float32", "gradient_checkpointing": False, "workers": 0, "log_every": 1,
    }  # fmt: skip
    sft = run_sft(
        SftConfig(base=base, out=tmp_path / "sft", rows=(rows,), batch_per_device=2, lr=1e-4, **common)
    )
    assert sft is not None
    losses = [line["loss"] for line in lines(tmp_path / "sft") if "loss" in line]
    assert len(losses) == 3
    assert losses[2] < losses[0] - 0.1
    before, after = weights(base), weights(sft)
    assert before.keys() == after.keys()

    monkeypatch.setattr(gcpo_run, "get_profile", lambda name: AnyCharacters())
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(2)])
    gcpo = run_gcpo(
        GcpoConfig(
            base=sft, out=tmp_path / "gcpo", pairs=pairs, validation_pairs=pairs, eval_every=3, save_every=3,
            traces=2, pairs_per_step=1, batch_per_device=4, max_trace_tokens=8, lr=1e-2,
            share_prompts=key in SHARING, lora=RrmLora(rank=2, alpha=4), **common,
        )
    )  # fmt: skip
    assert gcpo is not None
    steps = [line for line in lines(tmp_path / "gcpo") if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2, 3]
    assert any(line["grad_norm"] > 0 for line in steps)
    taught = weights(gcpo)
    assert taught.keys() == after.keys()
    changed = {name for name, weight in taught.items() if not torch.equal(weight, after[name])}
    assert changed
    assert all("proj" in name and "vis" not in name and "multi_modal" not in name for name in changed)
    assert read_card(gcpo).training["stage"] == "gcpo"


def of_family(key: str, directory: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(save_family(key, directory))


def wrapped_in_guide(name: str) -> list[str]:
    """The classes that docs/training-on-gpus.md has FSDP wrap for a base of that name."""
    guide = (ROOT / "docs" / "training-on-gpus.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| {re.escape(name)} \| `([\w,]+)` \|", guide, re.M)
    return str(row).split(",")


@pytest.mark.parametrize("key", BASES)
def test_fsdp_wraps_every_layer_of_both_towers_and_nothing_else(key: str, tmp_path: Path) -> None:
    model = of_family(key, tmp_path)
    text, vision = wrapped_in_guide(FAMILIES[key].name)
    found = [type(module).__name__ for module in model.modules()]
    assert (found.count(text), found.count(vision)) == _LAYERS.get(key, (2, 2))
    # What is left outside is embeddings, heads, mergers and norms.
    inside = {
        name
        for parent, module in model.named_modules()
        if type(module).__name__ in (text, vision)
        for name, _ in module.named_parameters(prefix=parent)
    }
    outside = {name for name, _ in model.named_parameters()} - inside
    assert not any(re.search(r"\.(layers?|blocks)\.\d+\.", name) for name in outside)


@pytest.mark.parametrize(("file", "key"), [("fsdp", "qwen2_5_vl"), ("fsdp_qwen3_vl", "qwen3_vl")])
def test_the_files_for_accelerate_say_what_the_guide_says(file: str, key: str) -> None:
    said = yaml.safe_load((ACCELERATE / f"{file}.yaml").read_text(encoding="utf-8"))["fsdp_config"]
    assert said["fsdp_transformer_layer_cls_to_wrap"].split(",") == wrapped_in_guide(FAMILIES[key].name)


@pytest.mark.parametrize("key", BASES)
def test_adapters_go_to_all_linear_layers_of_the_language_model_and_to_no_other(
    key: str, tmp_path: Path
) -> None:
    config = SftConfig(base=tmp_path, out=tmp_path, rows=(tmp_path,), steps=1, lora=RrmLora(rank=2))
    model = of_family(key, tmp_path)
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    adapted = get_peft_model(model, lora_config(config))
    found = {
        name.removeprefix("base_model.model.").removesuffix(".lora_A.default")
        for name, _ in adapted.named_modules()
        if name.endswith(".lora_A.default")
    }
    assert found == {name for name in linear if "language_model.layers." in name}
    assert len(found) == {"qwen3_5": 4 + 3 * 5 + 4 * 3}.get(key, 2 * 7)


@pytest.mark.parametrize(
    ("key", "settings", "complaint"),
    [
        (
            "qwen3_vl",
            {"equal_images": True},
            "equal_images is for the vision tower of Qwen2.5-VL, not Qwen3VL",
        ),
        ("internvl", {"vllm": VllmSettings()}, "InternVLProcessor writes an image otherwise"),
        ("gemma3", {"vllm": VllmSettings()}, "Gemma3Processor writes an image otherwise"),
        ("gemma3", {"share_prompts": True}, "layers of the type sliding_attention"),
        ("internvl", {"share_prompts": True}, "has other positions than Qwen-VL's"),
    ],
)
def test_what_a_base_does_not_have_is_refused_before_a_run_begins(
    key: str, settings: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(0)])
    config = GcpoConfig(
        base=save_family(key, tmp_path / "base"), out=tmp_path / "run", pairs=pairs, steps=1, traces=2,
        pairs_per_step=1, batch_per_device=4, dtype="float32", **settings,
    )  # fmt: skip
    with pytest.raises(SettingsError, match=complaint):
        run_gcpo(config)
    assert not config.out.exists()
