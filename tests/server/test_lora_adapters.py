"""LoRA folders: merged into their base once, or left beside it; and refused where they belong elsewhere."""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.checkpoints.adapters import check_fits, read_adapter
from edit_rrm_server.engines.checkpoints.locating import LocatedCheckpoint, locate
from edit_rrm_server.engines.vllm.start import engine_arguments
from edit_rrm_server.settings.server import BUNDLED_MODEL, load_settings
from tiny_adapter import change_config, write_adapter

pytestmark = pytest.mark.slow  # torch and transformers are imported


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapters") / "judge-lora")


@pytest.fixture
def adapter(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, and a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Path(shutil.copytree(trained, tmp_path / "judge-lora"))


def located(**settings: object) -> LocatedCheckpoint:
    given = {name: str(value) for name, value in settings.items()}
    return asyncio.run(locate(load_settings(given), lambda _: None, os.environ))


def refusal(**settings: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        located(**settings)
    return str(caught.value)


def test_the_merged_checkpoint_says_what_peft_says(adapter: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    found = located(model=adapter)
    plain = AutoModelForImageTextToText.from_pretrained(BUNDLED_MODEL, dtype=torch.float32)
    merged = AutoModelForImageTextToText.from_pretrained(found.directory, dtype=torch.float32)
    ids = torch.arange(3, 40).unsqueeze(0)  # [batch, tokens]
    with torch.no_grad():
        before = plain(input_ids=ids).logits
        by_peft = PeftModel.from_pretrained(plain, adapter)(input_ids=ids).logits
        by_us = merged(input_ids=ids).logits
    assert torch.allclose(by_peft, by_us, atol=1e-4)
    assert not torch.allclose(before, by_us, atol=1e-1)


def test_merging_is_done_once_and_leaves_nothing_but_its_result(adapter: Path, tmp_path: Path) -> None:
    first = located(model=adapter)
    assert first.directory.parent == tmp_path / "cache" / "edit-rrm" / "merged"
    assert [path.name for path in first.directory.parent.iterdir()] == [first.digest]
    served = {file.name for file in first.directory.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= served
    assert "adapter_config.json" not in served
    (first.directory / "model.safetensors").write_bytes(b"not made again")
    assert located(model=adapter) == first
    assert (first.directory / "model.safetensors").read_bytes() == b"not made again"


def test_it_is_asked_as_its_base_under_its_own_name_and_digest(adapter: Path) -> None:
    found = located(model=adapter, adapter_mode="lora")
    assert (found.card.name, found.card.profile, found.card.training) == ("judge-lora", "trained", {})
    assert found.directory == BUNDLED_MODEL
    assert found.adapter is not None
    assert found.adapter.directory == adapter
    (adapter / "chat_template.jinja").write_text("another")
    assert located(model=adapter, adapter_mode="lora").digest != found.digest
    assert found.beside == BUNDLED_MODEL
    (adapter / "judge.toml").write_text("")
    assert located(model=adapter, adapter_mode="lora").beside == adapter
    card = {"name": "own", "profile": "zero_shot", "trace_format": "json"}
    (adapter / "rrm.json").write_text(json.dumps(card))
    assert located(model=adapter, adapter_mode="lora").card.name == "own"


def test_vllm_reserves_the_least_rank_it_knows(adapter: Path) -> None:
    change_config(adapter, rank_pattern={"layers.0.self_attn.q_proj": 33})
    found = read_adapter(adapter)
    arguments = engine_arguments(load_settings({}), [found])
    assert (found.rank, arguments["max_lora_rank"], arguments["enable_lora"]) == (33, 64, True)
    change_config(adapter, rank_pattern=None)
    arguments = engine_arguments(load_settings({}), [read_adapter(adapter), found])
    assert (arguments["max_lora_rank"], arguments["max_loras"]) == (64, 2)
    change_config(adapter, r=1024)
    with pytest.raises(CheckpointError, match="has rank 1024, vLLM serves up to 512"):
        engine_arguments(load_settings({}), [found, read_adapter(adapter)])


def test_several_adapters_are_models_of_one_base(adapter: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(adapter, tmp_path / "own"))
    (own / "judge.toml").write_text("")
    found = located(**{"adapters.plain": adapter, "adapters.own": own})
    assert (found.directory, found.adapter) == (BUNDLED_MODEL, None)
    assert [(one.card.name, one.directory, one.beside) for one in found.further] == [
        ("plain", BUNDLED_MODEL, BUNDLED_MODEL),
        ("own", BUNDLED_MODEL, own),
    ]
    assert found.further[0].digest == located(model=adapter).digest


def test_an_adapter_among_several_that_cannot_be_served_is_named(adapter: Path, tmp_path: Path) -> None:
    assert "adapters.one: there is no checkpoint ./nowhere/to/be" in refusal(
        **{"adapters.one": "./nowhere/to/be"}
    )
    assert f"adapters.one: {BUNDLED_MODEL} is no adapter" in refusal(**{"adapters.one": BUNDLED_MODEL})
    assert "two models are called 'edit-rrm-tiny'" in refusal(**{"adapters.edit-rrm-tiny": adapter})
    assert "would be merged into it" in refusal(model=adapter, **{"adapters.one": adapter})
    beside = located(model=adapter, adapter_mode="lora", **{"adapters.one": adapter})
    assert [one.card.name for one in (beside, *beside.further)] == ["judge-lora", "one"]


def test_a_base_that_is_given_goes_before_the_one_it_names(adapter: Path, tmp_path: Path) -> None:
    change_config(adapter, base_model_name_or_path="/the/trainers/disk")
    said = refusal(model=adapter, adapter_mode="lora")
    assert "there is no checkpoint /the/trainers/disk" in said
    assert "named by adapter_config.json of" in said
    assert "the setting base goes before" in said
    assert located(model=adapter, adapter_mode="lora", base="edit-rrm-tiny").directory == BUNDLED_MODEL
    change_config(adapter, base_model_name_or_path=None)
    assert "does not name its base: set base" in refusal(model=adapter)
    assert "is an adapter itself" in refusal(model=adapter, base=adapter)
    assert "base has no effect" in refusal(model=BUNDLED_MODEL, base=BUNDLED_MODEL)


def test_an_adapter_for_another_base_is_refused_before_anything_is_loaded(
    adapter: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if name.endswith("layers.0.self_attn.q_proj.lora_B.weight"))
    save_file({**weights, name: torch.zeros(2 * len(weights[name]), weights[name].shape[1])}, file)
    said = refusal(model=adapter)
    assert "is for another base than" in said
    assert "layers.0.self_attn.q_proj is" in said

    moved = {re.sub(r"(layers|blocks)\.", r"\1.9", key): weight for key, weight in weights.items()}
    save_file(moved, file)
    assert "which has none of its layers" in refusal(model=adapter)

    save_file({name: weights[name]}, file)
    assert "holds no LoRA of linear layers" in refusal(model=adapter)


def test_layers_without_a_place_in_the_base_are_refused_when_merging(adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    more = {key.replace("layers.0.", "layers.77."): weight.clone() for key, weight in weights.items()}
    save_file(weights | more, file)
    said = refusal(model=adapter)
    assert "of its tensors have no place there, such as base_model.model." in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3', and only LORA is served"),
        ({"peft_type": None}, "is no adapter's configuration"),
        ({"r": "many"}, "is no adapter's configuration"),
    ],
)
def test_what_is_no_lora_is_refused(adapter: Path, changes: dict[str, object], said: str) -> None:
    change_config(adapter, **changes)
    assert said in refusal(model=adapter)


def test_pickled_adapters_are_refused(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    assert "holds no adapter_model.safetensors; pickled weights are not loaded" in refusal(model=adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(CheckpointError, match="holds no LoRA"):
        check_fits(read_adapter(adapter), BUNDLED_MODEL)
    (adapter / "adapter_model.safetensors").write_bytes(b"garbage")
    assert "is no safetensors file" in refusal(model=adapter)
