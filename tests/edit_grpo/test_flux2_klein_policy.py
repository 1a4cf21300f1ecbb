"""Flux2KleinPolicy beside what test_policies.py holds every policy to: sizes, guidance, distilled models."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import Flux2KleinPipeline
from editor_families import KLEIN
from stock_calls import stock_call, velocity_errors

from edit_grpo.policies import flux2_klein
from edit_grpo.policies.errors import PictureSizeError, PolicySettingsError
from edit_grpo.rollout.ode_sampling import sample_ode
from tiny_pipelines import INSTRUCTIONS, klein_folder, pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return klein_folder(tmp_path_factory.mktemp("klein"))


def load(folder: Path, **settings: Any) -> Any:
    return KLEIN.load(folder, **settings)


@pytest.mark.parametrize("sizes", [[(96, 64)], [(70, 81), (130, 67), (64, 64)]])
def test_ode_sampling_equals_the_pipelines_own_output(folder: Path, sizes: list[tuple[int, int]]) -> None:
    policy, sources = load(folder), pictures(*sizes)
    condition = policy.encode([sources], INSTRUCTIONS[:1])
    ours = sample_ode(policy, condition, policy.noise(condition, torch.Generator().manual_seed(7)), steps=3)
    pipeline = Flux2KleinPipeline.from_pretrained(str(folder))
    options = {"image": sources, "prompt": INSTRUCTIONS[0], "num_inference_steps": 3, "guidance_scale": 3.0}
    (theirs,), _ = stock_call(pipeline, **options, generator=torch.Generator().manual_seed(7))
    (mine,) = policy.decode(ours)
    width, height = sizes[0]  # the first source's size, in whole tokens
    assert mine.size == theirs.size == (width // 4 * 4, height // 4 * 4)
    difference = torch.tensor(list(theirs.tobytes())) - torch.tensor(list(mine.tobytes()))
    assert difference.abs().max() <= 1


def test_without_guidance_and_distilled_there_is_one_pass_as_in_the_pipeline(tmp_path: Path) -> None:
    for distilled in (False, True):
        folder = klein_folder(tmp_path / str(distilled), distilled=distilled)
        policy, sources = load(folder, true_cfg_scale=1.0), KLEIN.sources()
        condition = policy.encode([sources], INSTRUCTIONS[:1])
        assert "negative_text_embeds" not in condition.tensors
        pipeline = Flux2KleinPipeline.from_pretrained(str(folder))
        assert pipeline.config.is_distilled is distilled
        _, steps = stock_call(
            pipeline, image=sources, prompt=INSTRUCTIONS[0], num_inference_steps=2,
            guidance_scale=4.0 if distilled else 1.0,  # a distilled one leaves it out
        )  # fmt: skip
        assert velocity_errors(policy, condition, steps) == [0.0, 0.0]


def test_guidance_of_a_distilled_model_and_of_the_other_family_is_refused(tmp_path: Path) -> None:
    folder = klein_folder(tmp_path, distilled=True)
    with pytest.raises(PolicySettingsError, match="klein is distilled"):
        load(folder, true_cfg_scale=3.0)
    with pytest.raises(PolicySettingsError, match="true_cfg_scale"):
        load(folder, true_cfg_scale=1.0, guidance_scale=2.5)


def test_a_negative_prompt_takes_the_empty_one_s_place(folder: Path) -> None:
    tensors = [
        load(folder, **given).encode([KLEIN.sources()], INSTRUCTIONS[:1]).tensors["negative_text_embeds"]
        for given in ({}, {"negative_prompt": ""}, {"negative_prompt": "blur"})
    ]
    assert torch.equal(tensors[0], tensors[1])
    assert not torch.equal(tensors[0], tensors[2])


@pytest.mark.parametrize(
    ("size", "area", "prepared"),
    [
        ((70, 81), None, (68, 80)),  # cropped
        ((128, 130), None, (124, 128)),  # over the largest area, 128 × 128: shrunk, then cropped
        ((70, 81), 64 * 64, (56, 68)),  # √(64² · 70 / 81) = 59.5 by 68.8
        ((32, 32), 64 * 64, (64, 64)),
        ((200, 20), 64 * 64, (200, 20)),  # of that area as it is
    ],
)
def test_a_prepared_source_is_of_the_area_and_cropped_to_whole_tokens(
    folder: Path,
    size: tuple[int, int],
    area: int | None,
    prepared: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flux2_klein, "LARGEST_AREA_PIXELS", 128 * 128)
    policy = load(folder, area_pixels=area)
    (source,) = pictures(size)
    found = policy.prepare(source)
    assert found.size == prepared
    assert policy.prepare(found) is found
    latents = [
        policy.encode([[image]], INSTRUCTIONS[:1]).tensors["source_latents"] for image in (source, found)
    ]
    assert torch.equal(*latents)


def test_a_crop_is_about_the_centre(folder: Path) -> None:
    (source,) = pictures((70, 81))
    assert load(folder).prepare(source).tobytes() == source.crop((1, 0, 69, 80)).tobytes()


def test_a_source_that_is_too_thin_is_refused(folder: Path) -> None:
    with pytest.raises(PictureSizeError, match=r"at least 4×4, got 64×3"):
        load(folder).prepare(*pictures((64, 3)))
    with pytest.raises(PictureSizeError, match=r"at least 4×4, got 92×2"):
        load(folder, area_pixels=256).prepare(*pictures((200, 6)))
