"""What a vLLM is handed: merged weights, and none of its own pictures of yesterday."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForImageTextToText

from edit_rrm_training.rollouts.vllm_weights import hand_over_safely, merged_weights

TARGETS = r".*language_model.*\.(q|o|down)_proj"


@pytest.fixture
def adapted(untrained: Path) -> PeftModel:
    model = AutoModelForImageTextToText.from_pretrained(untrained, dtype=torch.bfloat16)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS))
    generator = torch.Generator().manual_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:  # which begins at 0 and would change nothing
            parameter.data = torch.randn(parameter.shape, generator=generator).to(parameter.dtype) * 0.05
    return adapted


def test_a_merged_copy_has_the_base_s_names_and_leaves_the_base_as_it_is(
    adapted: PeftModel, untrained: Path
) -> None:
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    handed = dict(merged_weights(adapted))
    assert all(torch.equal(value, before[name]) for name, value in adapted.state_dict().items())

    plain = AutoModelForImageTextToText.from_pretrained(untrained, dtype=torch.bfloat16)
    assert list(handed) == [name for name, _ in plain.named_parameters()]
    of_peft = adapted.merge_and_unload()
    changed = [name for name, weight in plain.named_parameters() if not torch.equal(weight, handed[name])]
    assert changed
    assert all(any(part in name for part in ("q_proj", "o_proj", "down_proj")) for name in changed)
    for name, weight in of_peft.named_parameters():
        assert handed[name].dtype == torch.bfloat16
        torch.testing.assert_close(handed[name], weight, rtol=0.02, atol=1e-3)


class Generation:
    """TRL's, as far as weights go."""

    def __init__(self, model: Any, mode: str, *, sharded: bool = False, main: bool = True) -> None:
        self.model, self.mode = model, mode
        self.done: list[str] = []
        self._dist = SimpleNamespace(is_fsdp=sharded, is_zero3=False)
        self.accelerator = SimpleNamespace(is_main_process=main)
        forget = lambda: self.done.append("pictures forgotten")  # noqa: E731
        self.llm = SimpleNamespace(llm_engine=SimpleNamespace(reset_encoder_cache=forget))
        self.vllm_client = SimpleNamespace(base_url="http://there", session=SimpleNamespace(post=self._post))

    def _post(self, url: str) -> Any:
        return SimpleNamespace(raise_for_status=lambda: self.done.append(url))

    def _fix_param_name_to_vllm(self, name: str) -> str:
        return f"there.{name}"

    def _iter_named_params(self) -> Any:
        return iter([("trl's", torch.zeros(1))])

    def sync_weights(self) -> None:
        self.done.append(next(iter(self._iter_named_params()))[0])


@pytest.mark.parametrize(
    ("mode", "main", "forgotten"),
    [
        ("colocate", True, ["pictures forgotten"]),
        ("server", True, ["http://there/reset_encoder_cache"]),
        ("server", False, []),
    ],
)
def test_pictures_are_forgotten_after_every_synchronisation(
    adapted: PeftModel, mode: str, main: bool, forgotten: list[str]
) -> None:
    generation = Generation(adapted, mode, main=main)
    hand_over_safely(generation)
    first = next(iter(merged_weights(adapted)))[0]
    for _ in range(2):
        generation.sync_weights()
    assert generation.done == [f"there.{first}", *forgotten] * 2


def test_whole_models_and_sharded_adapters_are_read_by_trl(adapted: PeftModel) -> None:
    for model, sharded in ((adapted.get_base_model(), False), (adapted, True)):
        generation = Generation(model, "colocate", sharded=sharded)
        hand_over_safely(generation)
        generation.sync_weights()
        assert generation.done == ["trl's", "pictures forgotten"]
