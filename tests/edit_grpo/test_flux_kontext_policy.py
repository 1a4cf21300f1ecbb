"""FluxKontextPolicy against diffusers' own pipeline, on random weights of the same classes."""

from pathlib import Path

import pytest
import torch
from diffusers import FluxKontextPipeline

from edit_grpo.policies.errors import NoReferenceError, PictureSizeError, PolicySettingsError
from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.loading import load_policy
from edit_grpo.policies.settings import EditorLora, PolicySettings
from edit_grpo.rollout.ode_sampling import noise_of_rows, sample_ode
from tiny_pipelines import INSTRUCTIONS, kontext_folder, pictures

TOLERANCE = 2e-5  # float32, four steps; the pipeline's scheduler steps in another order of operations
LORA = EditorLora(rank=2, alpha=4.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kontext_folder(tmp_path_factory.mktemp("kontext"))


def load(folder: Path, *, keep_reference: bool = True, **settings: object) -> FluxKontextPolicy:
    given = {"name": str(folder), "dtype": "float32", "gradient_checkpointing": False, **settings}
    policy = load_policy(PolicySettings.model_validate(given), keep_reference=keep_reference)
    assert isinstance(policy, FluxKontextPolicy)
    return policy


def a_velocity(policy: FluxKontextPolicy, grad: bool = False) -> torch.Tensor:
    """At one point that does not depend on the policy's weights."""
    condition = policy.encode([[each] for each in pictures((16, 12), (16, 12))], INSTRUCTIONS)
    latents = policy.noise(condition, torch.Generator().manual_seed(3))
    with torch.set_grad_enabled(grad):
        return policy.velocity(latents, torch.tensor([0.9, 0.3]), condition)


def perturb(policy: FluxKontextPolicy) -> None:
    """Another policy: every trained weight moved a little."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in policy.trainable():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("size", [(16, 16), (24, 12)])
def test_ode_sampling_equals_the_pipelines_own_output(folder: Path, size: tuple[int, int]) -> None:
    policy = load(folder, guidance_scale=3.0)
    sources = pictures(size)
    condition = policy.encode([sources], INSTRUCTIONS[:1])
    noise = policy.noise(condition, torch.Generator().manual_seed(7))
    ours = sample_ode(policy, condition, noise, steps=4)

    pipeline = FluxKontextPipeline.from_pretrained(str(folder))
    width, height = size
    options = {
        "image": sources[0], "prompt": INSTRUCTIONS[0], "width": width, "height": height,
        "max_area": width * height, "num_inference_steps": 4, "guidance_scale": 3.0,
        "max_sequence_length": 26, "_auto_resize": False,
    }  # fmt: skip
    theirs = pipeline(**options, generator=torch.Generator().manual_seed(7), output_type="latent").images
    packed = pipeline._pack_latents(ours, *ours.shape)
    assert (packed - theirs).abs().max() < TOLERANCE
    picture = pipeline(**options, generator=torch.Generator().manual_seed(7)).images[0]
    difference = torch.tensor(list(picture.tobytes())) - torch.tensor(list(policy.decode(ours)[0].tobytes()))
    assert difference.abs().max() <= 1
    assert policy.decode(ours)[0].size == size


def test_guidance_is_the_kontext_default_and_reaches_the_transformer(folder: Path) -> None:
    default, same, other = (a_velocity(load(folder, guidance_scale=scale)) for scale in (None, 2.5, 4.0))
    assert torch.equal(default, same)
    assert not torch.allclose(default, other)


def test_a_size_that_is_no_whole_number_of_tokens_is_rounded_down(folder: Path) -> None:
    policy = load(folder)
    condition = policy.encode([pictures((19, 13))], INSTRUCTIONS[:1])
    assert policy.decode(policy.noise(condition, torch.Generator()))[0].size == (16, 12)


def test_the_area_setting_scales_sources_and_keeps_their_aspect(folder: Path) -> None:
    condition = load(folder, area_pixels=512).encode([pictures((64, 32))], INSTRUCTIONS[:1])
    assert condition.tensors["source_latents"].shape == (1, 4, 8, 16)  # 32×16 pixels


@pytest.mark.parametrize("area", [None, 512])
@pytest.mark.parametrize("size", [(43, 40), (40, 43), (64, 32), (63, 48), (90, 20), (17, 61)])
def test_a_prepared_source_has_the_size_of_the_edited_picture_and_is_encoded_as_before(
    folder: Path, size: tuple[int, int], area: int | None
) -> None:
    policy = load(folder, area_pixels=area)
    (source,) = pictures(size)
    prepared = policy.prepare(source)
    assert policy.prepare(prepared) is prepared
    latents = [
        policy.encode([[image]], INSTRUCTIONS[:1]).tensors["source_latents"] for image in (source, prepared)
    ]
    assert torch.equal(*latents)
    condition = policy.encode([[prepared]], INSTRUCTIONS[:1])
    assert policy.decode(policy.noise(condition, torch.Generator()))[0].size == prepared.size


def test_rollout_and_training_call_give_the_same_velocity(folder: Path) -> None:
    policy = load(folder, lora=LORA)
    perturb(policy)
    rollout, training = a_velocity(policy), a_velocity(policy, grad=True)
    assert training.requires_grad
    assert torch.equal(rollout, training.detach())


def test_gradient_checkpointing_changes_no_velocity_and_no_gradient(folder: Path) -> None:
    gradients = []
    for checkpointing in (False, True):
        policy = load(folder, gradient_checkpointing=checkpointing)
        a_velocity(policy, grad=True).square().sum().backward()
        gradients.append(torch.cat([each.grad.flatten() for each in policy.trainable()]))
    assert torch.equal(gradients[0], gradients[1])


@pytest.mark.parametrize("settings", [{"lora": LORA}, {}])
def test_the_reference_stays_what_it_was_while_the_policy_changes(
    folder: Path, settings: dict[str, object]
) -> None:
    start = a_velocity(load(folder))
    policy = load(folder, **settings)
    assert torch.equal(a_velocity(policy), start)
    perturb(policy)
    assert not torch.allclose(a_velocity(policy), start, atol=1e-3)
    with policy.reference():
        assert torch.equal(a_velocity(policy), start)
    assert not torch.allclose(a_velocity(policy), start, atol=1e-3)


def test_without_a_kept_copy_the_reference_is_refused(folder: Path) -> None:
    policy = load(folder, keep_reference=False)
    with pytest.raises(NoReferenceError, match="keep_reference"), policy.reference():
        pass


def test_a_lora_policy_trains_its_adapters_and_nothing_else(folder: Path) -> None:
    policy = load(folder, lora=LORA)
    a_velocity(policy, grad=True).sum().backward()
    names = [name for name, each in policy.module.named_parameters() if each.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    assert all(each.grad is not None for each in policy.trainable())


def test_a_saved_adapter_gives_the_same_velocities_again(folder: Path, tmp_path: Path) -> None:
    policy = load(folder, lora=LORA)
    perturb(policy)
    policy.save(tmp_path)
    again = load(folder, adapter=tmp_path)
    assert torch.equal(a_velocity(again), a_velocity(policy))
    assert len(again.trainable()) == len(policy.trainable()) > 0


def test_a_policy_saved_whole_gives_the_same_velocities_again(folder: Path, tmp_path: Path) -> None:
    policy = load(folder, keep_reference=False)
    perturb(policy)
    policy.save(tmp_path)
    assert torch.equal(a_velocity(load(tmp_path)), a_velocity(policy))


def test_bfloat16_weights_have_float32_adapters_and_bfloat16_latents(folder: Path) -> None:
    policy = load(folder, dtype="bfloat16", lora=LORA)
    assert policy.latent_dtype is torch.bfloat16
    assert {each.dtype for each in policy.trainable()} == {torch.float32}
    assert a_velocity(policy).isfinite().all()


def test_a_rows_noise_does_not_depend_on_its_neighbours(folder: Path) -> None:
    policy = load(folder)
    condition = policy.encode([[each] for each in pictures((16, 16), (16, 16))], INSTRUCTIONS)
    both = noise_of_rows(policy, condition, [1, 2])
    second = noise_of_rows(policy, condition.select(slice(1, 2)), [2])
    assert torch.equal(both[1:], second)
    assert not torch.equal(both[:1], second)


def test_sources_of_two_sizes_and_too_small_ones_are_refused(folder: Path) -> None:
    policy = load(folder)
    with pytest.raises(PictureSizeError, match=r"one size, got 16×12, 16×16"):
        policy.encode([[each] for each in pictures((16, 16), (16, 12))], INSTRUCTIONS)
    with pytest.raises(PictureSizeError, match=r"at least 4×4, got 16×3"):
        policy.encode([pictures((16, 3))], INSTRUCTIONS[:1])


def test_a_setting_of_the_other_family_is_refused(folder: Path) -> None:
    with pytest.raises(PolicySettingsError, match="true_cfg_scale"):
        load(folder, true_cfg_scale=4.0)
