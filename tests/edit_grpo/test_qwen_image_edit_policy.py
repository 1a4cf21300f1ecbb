"""QwenImageEditPolicy against diffusers' own pipeline, on random weights of the same classes."""

from pathlib import Path

import pytest
import torch
from diffusers import QwenImageEditPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit

from edit_grpo.policies.errors import PolicySettingsError
from edit_grpo.policies.loading import load_policy
from edit_grpo.policies.qwen_image_edit import QwenImageEditPolicy
from edit_grpo.policies.settings import EditorLora, PolicySettings
from edit_grpo.rollout.ode_sampling import sample_ode
from tiny_pipelines import INSTRUCTIONS, pictures, qwen_folder

TOLERANCE = 2e-5  # float32, three steps
AREA = 64 * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen_folder(tmp_path_factory.mktemp("qwen"))


def load(folder: Path, *, keep_reference: bool = True, **settings: object) -> QwenImageEditPolicy:
    given = {
        "name": str(folder), "dtype": "float32", "gradient_checkpointing": False, "area_pixels": AREA,
        **settings,
    }  # fmt: skip
    policy = load_policy(PolicySettings.model_validate(given), keep_reference=keep_reference)
    assert isinstance(policy, QwenImageEditPolicy)
    return policy


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_ode_sampling_equals_the_pipelines_own_output(
    folder: Path, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load(folder, true_cfg_scale=scale)
    sources = pictures((96, 48))
    condition = policy.encode([sources], INSTRUCTIONS[:1])
    noise = policy.noise(condition, torch.Generator().manual_seed(7))
    ours = sample_ode(policy, condition, noise, steps=3)

    # The pipeline brings every source to 1024×1024 pixels' area: 64×64 will do here.
    dimensions = pipeline_qwenimage_edit.calculate_dimensions
    monkeypatch.setattr(
        pipeline_qwenimage_edit, "calculate_dimensions", lambda _, ratio: dimensions(AREA, ratio)
    )
    pipeline = QwenImageEditPipeline.from_pretrained(str(folder))
    options = {
        "image": sources[0], "prompt": INSTRUCTIONS[0], "num_inference_steps": 3, "true_cfg_scale": scale,
        "negative_prompt": " " if scale > 1 else None,
    }  # fmt: skip
    theirs = pipeline(**options, generator=torch.Generator().manual_seed(7), output_type="latent").images
    packed = pipeline._pack_latents(ours, *ours.shape)
    assert (packed - theirs).abs().max() < TOLERANCE
    picture = pipeline(**options, generator=torch.Generator().manual_seed(7)).images[0]
    mine = policy.decode(ours)[0]
    assert mine.size == picture.size == (96, 32)
    difference = torch.tensor(list(picture.tobytes())) - torch.tensor(list(mine.tobytes()))
    assert difference.abs().max() <= 1


@pytest.mark.parametrize(
    "size", [(107, 100), (100, 107), (4032 // 16, 3024 // 16), (64, 64), (300, 40), (33, 97)]
)
def test_a_prepared_source_has_the_size_of_the_edited_picture_and_is_encoded_as_before(
    folder: Path, size: tuple[int, int]
) -> None:
    policy = load(folder)
    (source,) = pictures(size)
    prepared = policy.prepare(source)
    assert policy.prepare(prepared) is prepared
    conditions = [policy.encode([[image]], INSTRUCTIONS[:1]) for image in (source, prepared)]
    for name, expected in conditions[0].tensors.items():
        assert torch.equal(conditions[1].tensors[name], expected), name
    noise = policy.noise(conditions[0], torch.Generator().manual_seed(1))
    assert policy.decode(noise)[0].size == prepared.size


def test_a_shorter_instruction_is_not_disturbed_by_a_longer_neighbour(folder: Path) -> None:
    policy = load(folder)
    sources = pictures((64, 64), (64, 64))
    both = policy.encode([[source] for source in sources], INSTRUCTIONS)
    alone = policy.encode([sources[1:]], INSTRUCTIONS[1:])
    latents = policy.noise(both, torch.Generator().manual_seed(3))
    sigma = torch.tensor([0.7, 0.7])
    with torch.no_grad():
        together = policy.velocity(latents, sigma, both)
        single = policy.velocity(latents[1:], sigma[1:], alone)
    assert (together[1:] - single).abs().max() < 1e-4


def test_guidance_of_the_other_family_is_refused(folder: Path) -> None:
    with pytest.raises(PolicySettingsError, match="true_cfg_scale"):
        load(folder, guidance_scale=2.5)


def test_adapters_train_and_off_they_are_the_reference(folder: Path) -> None:
    policy = load(folder, lora=EditorLora(rank=2, alpha=4.0))
    condition = policy.encode([pictures((64, 64))], INSTRUCTIONS[:1])
    latents = policy.noise(condition, torch.Generator().manual_seed(3))
    sigma = torch.tensor([0.5])
    first = policy.velocity(latents, sigma, condition)
    first.square().mean().backward()
    with torch.no_grad():
        for parameter in policy.trainable():
            parameter.add_(0.1)
        assert not torch.allclose(policy.velocity(latents, sigma, condition), first, atol=1e-3)
        with policy.reference():
            assert torch.equal(policy.velocity(latents, sigma, condition), first)
