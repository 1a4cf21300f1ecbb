"""QwenImageEditPlusPolicy beside what test_policies.py holds every policy to: sizes and several sources."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import QwenImageEditPlusPipeline
from editor_families import QWEN_PLUS, small_areas
from stock_calls import stock_call

from edit_grpo.policies.errors import PictureSizeError
from edit_grpo.rollout.ode_sampling import sample_ode
from tiny_pipelines import INSTRUCTIONS, pictures, qwen_plus_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen_plus_folder(tmp_path_factory.mktemp("qwen-plus"))


def load(folder: Path, **settings: Any) -> Any:
    return QWEN_PLUS.load(folder, **settings)


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("sizes", [[(96, 48)], [(64, 64), (100, 50)], [(64, 64), (48, 96), (70, 64)]])
def test_ode_sampling_equals_the_pipelines_own_output(
    folder: Path, sizes: list[tuple[int, int]], scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load(folder, true_cfg_scale=scale)
    sources = [policy.prepare(source) for source in pictures(*sizes)]
    condition = policy.encode([sources], INSTRUCTIONS[:1])
    ours = sample_ode(policy, condition, policy.noise(condition, torch.Generator().manual_seed(7)), steps=3)
    small_areas(monkeypatch)
    (theirs,), _ = stock_call(
        QwenImageEditPlusPipeline.from_pretrained(str(folder)), image=sources, prompt=INSTRUCTIONS[0],
        num_inference_steps=3, true_cfg_scale=scale, negative_prompt=" " if scale > 1 else None,
        generator=torch.Generator().manual_seed(7),
    )  # fmt: skip
    (mine,) = policy.decode(ours)
    assert mine.size == theirs.size == sources[-1].size
    difference = torch.tensor(list(theirs.tobytes())) - torch.tensor(list(mine.tobytes()))
    assert difference.abs().max() <= 1


@pytest.mark.parametrize("size", [(107, 100), (100, 107), (64, 64), (300, 40), (33, 97)])
def test_a_prepared_source_has_the_size_of_the_edited_picture(folder: Path, size: tuple[int, int]) -> None:
    policy = load(folder)
    (source,) = pictures(size)
    prepared = policy.prepare(source)
    assert policy.prepare(prepared) is prepared
    first, condition = (policy.encode([[image]], INSTRUCTIONS[:1]) for image in (source, prepared))
    assert torch.equal(first.tensors["source_latents"], condition.tensors["source_latents"])
    assert policy.decode(policy.noise(condition, torch.Generator()))[0].size == prepared.size


def test_each_source_has_tokens_of_its_own_and_instructions_count_them(folder: Path) -> None:
    policy = load(folder, true_cfg_scale=1.0)
    one, two = (policy.encode([pictures(*[(64, 64)] * count)], INSTRUCTIONS[:1]).tensors for count in (1, 2))
    assert sorted(two) == ["source_latents", "source_latents_2", "text_embeds"]
    more = two["text_embeds"].shape[1] - one["text_embeds"].shape[1]
    # 64 × 64 pixels are 16 tokens of the encoder, between two more; "Picture 2: " is 11 bytes.
    assert more == 16 + 11 + 2


def test_sources_of_a_batch_have_one_size_in_each_place(folder: Path) -> None:
    small, wide = pictures((64, 64), (96, 32))
    condition = load(folder).encode([[small, wide], [small, wide]], INSTRUCTIONS)
    assert condition.tensors["source_latents_2"].shape == (2, 4, 16, 48)
    with pytest.raises(PictureSizeError, match=r"one size, got 64×64, 96×32"):
        load(folder).encode([[small, wide], [small, small]], INSTRUCTIONS)
