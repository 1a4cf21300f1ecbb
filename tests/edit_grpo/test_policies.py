"""What must hold of every editor's policy: it predicts exactly what its pipeline does, and fails typed."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from editor_families import FAMILIES, KONTEXT, QWEN, Family, small_areas
from stock_calls import stock_call, velocity_errors

from edit_grpo.algorithms.algorithm import Grpo
from edit_grpo.algorithms.settings import GrpoSettings
from edit_grpo.policies.errors import SourceCountError
from edit_grpo.policies.settings import EditorLora
from edit_grpo.rollout.rollout import generators_of
from edit_grpo.rollout.settings import SamplingSettings
from tiny_pipelines import INSTRUCTIONS, pictures

EVERY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
LORA = EditorLora(rank=2, alpha=4.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return {family.name: family.save(tmp_path_factory.mktemp(family.name)) for family in FAMILIES}


def encoded(policy: Any, family: Family, count: int = 1) -> Any:
    return policy.encode([family.sources()] * count, INSTRUCTIONS[:count])


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_at_every_step_the_velocity_is_exactly_what_the_pipeline_s_own_call_predicts(
    family: Family, dtype: str, folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = family.load(folders[family.name], dtype=dtype)
    condition = encoded(policy, family)
    small_areas(monkeypatch)
    pipeline = family.pipeline.from_pretrained(str(folders[family.name]), dtype=getattr(torch, dtype))
    (picture,), steps = stock_call(
        pipeline, prompt=INSTRUCTIONS[0], num_inference_steps=3, generator=torch.Generator().manual_seed(7),
        **family.stock_options(family.sources()),
    )  # fmt: skip
    assert velocity_errors(policy, condition, steps) == [0.0] * 3
    assert policy.sigmas(3, condition) == [*(step.sigma.item() for step in steps), 0.0]
    noise = policy.noise(condition, torch.Generator().manual_seed(7))
    assert torch.equal(policy._pack(noise), steps[0].latents)
    assert policy.decode(noise)[0].size == picture.size == family.sizes[policy.canvas]


@EVERY
def test_guidance_reaches_the_prediction(family: Family, folders: Mapping[str, Path]) -> None:
    name = "guidance_scale" if family is KONTEXT else "true_cfg_scale"
    found = []
    for scale in (1.5, 3.0):
        policy = family.load(folders[family.name], **{name: scale})
        condition = encoded(policy, family)
        latents = policy.noise(condition, torch.Generator().manual_seed(3))
        with torch.no_grad():
            found.append(policy.velocity(latents, torch.tensor([0.5]), condition))
    assert not torch.allclose(*found, atol=1e-4)


@EVERY
@pytest.mark.parametrize("sde", ["flow_grpo", "cps"])
def test_on_policy_the_ratio_is_exactly_one(family: Family, sde: Any, folders: Mapping[str, Path]) -> None:
    policy = family.load(folders[family.name], dtype="bfloat16", lora=LORA)
    algorithm = Grpo(policy, GrpoSettings(sde=sde), SamplingSettings(group_size=3, steps=3, micro_batch=3))
    group = algorithm.draw(encoded(policy, family), generators_of(0, 0, 0, 3), 0, random.Random(0))
    for step in group.points:
        found = algorithm.loss(group, step, torch.arange(3), torch.tensor([1.0, 0.0, -1.0]))
        assert found.watched["ratio"].tolist() == [1.0, 1.0, 1.0]
        assert found.loss.requires_grad


@EVERY
def test_rows_of_a_batch_are_what_they_are_alone(family: Family, folders: Mapping[str, Path]) -> None:
    """Instructions of two lengths: where tokens are padded, padding takes no part."""
    policy = family.load(folders[family.name])
    both = encoded(policy, family, 2)
    latents = policy.noise(both, torch.Generator().manual_seed(3))
    sigma = torch.tensor([0.7, 0.7])
    with torch.no_grad():
        together = policy.velocity(latents, sigma, both)
        for row in (0, 1):
            alone = policy.encode([family.sources()], [INSTRUCTIONS[row]])
            single = policy.velocity(latents[row : row + 1], sigma[:1], alone)
            assert (together[row] - single[0]).abs().max() < 2e-4


@EVERY
def test_sources_are_seen_each_in_its_place(family: Family, folders: Mapping[str, Path]) -> None:
    policy = family.load(folders[family.name])
    sources = family.sources()
    latents = policy.noise(encoded(policy, family), torch.Generator().manual_seed(3))

    def velocity(shown: list[Any]) -> torch.Tensor:
        with torch.no_grad():
            condition = policy.encode([shown], INSTRUCTIONS[:1])
            found: torch.Tensor = policy.velocity(latents, torch.tensor([0.5]), condition)
        return found

    for place in range(len(sources)):
        changed = [*sources]
        changed[place] = sources[place].rotate(180)
        assert not torch.allclose(velocity(changed), velocity(sources), atol=1e-5), place


@EVERY
def test_more_sources_than_it_takes_none_and_uneven_ones_are_refused(
    family: Family, folders: Mapping[str, Path]
) -> None:
    policy = family.load(folders[family.name])
    (source,) = pictures((64, 64))
    takes = "one source" if family in (KONTEXT, QWEN) else "1 to 4 sources"
    for count in (0, policy.max_sources + 1):
        with pytest.raises(SourceCountError, match=f"takes {takes}, and an edit has {count}"):
            policy.encode([[source] * count], INSTRUCTIONS[:1])
    if policy.max_sources > 1:
        with pytest.raises(SourceCountError, match=r"one number of sources, got \[1, 2\]"):
            policy.encode([[source], [source, source]], INSTRUCTIONS)


@EVERY
def test_a_picture_that_is_not_finite_is_none_and_its_neighbour_is_as_it_was(
    family: Family, folders: Mapping[str, Path]
) -> None:
    policy = family.load(folders[family.name])
    latents = policy.noise(encoded(policy, family, 2), torch.Generator().manual_seed(3))
    (first, _) = policy.decode(latents)
    latents[1, 0, 0, 0] = float("nan")
    spoilt = policy.decode(latents)
    assert spoilt[1] is None
    assert spoilt[0].tobytes() == first.tobytes()


@EVERY
def test_an_autoencoder_that_overflows_gives_no_picture(family: Family, folders: Mapping[str, Path]) -> None:
    """Finite latents and no finite pixel, as float16 autoencoders have it: not a black picture."""
    policy = family.load(folders[family.name])
    latents = policy.noise(encoded(policy, family), torch.Generator().manual_seed(3))
    last = [each for each in policy.pipeline.vae.decoder.modules() if getattr(each, "bias", None) is not None]
    with torch.no_grad():
        last[-1].bias.fill_(float("inf"))
    assert policy.decode(latents) == [None]
