"""The shapes editor: small parts that diffusers' own pipeline takes for its own."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import FluxKontextPipeline

from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.loading import load_policy
from edit_grpo.policies.settings import EditorLora
from edit_grpo.rollout.ode_sampling import sample_ode
from edit_rrm_shapes.tiny_editor.loading import load_editor, plain_settings
from edit_rrm_shapes.tiny_editor.pipeline import build_shapes_editor, word_tokenizer
from edit_rrm_shapes.tiny_editor.vae import ShapesVAE
from tiny_pipelines import INSTRUCTIONS, pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With weights that change pictures: untrained it would hand back its source."""
    pipeline = build_shapes_editor(INSTRUCTIONS, seed=0)
    torch.manual_seed(1)
    for parameter in pipeline.transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    directory = tmp_path_factory.mktemp("shapes-editor")
    pipeline.save_pretrained(str(directory))
    return directory


def test_the_autoencoder_makes_16_channels_of_8_by_8_pixels_and_pictures_of_them() -> None:
    vae = ShapesVAE().eval()
    pixels = torch.rand(2, 3, 16, 24) * 2 - 1
    latents = vae.encode(pixels).latents
    assert latents.shape == (2, 16, 2, 3)
    assert vae.decode(latents)[0].shape == pixels.shape


def test_latents_have_unit_variance_while_the_autoencoder_learns() -> None:
    torch.manual_seed(0)
    vae = ShapesVAE().train()
    latents = vae.encode(torch.rand(8, 3, 96, 96) * 2 - 1).latents.detach()
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    assert (latents.std(dim=(0, 2, 3)) - 1).abs().max() < 0.1


def test_words_are_tokens_and_an_unseen_word_is_one_too() -> None:
    tokenizer = word_tokenizer(["make it red", "make it blue"])
    ids = tokenizer(["make it green"], padding="max_length", max_length=6)["input_ids"][0]
    assert tokenizer.convert_ids_to_tokens(ids) == ["make", "it", "<unk>", "</s>", "<pad>", "<pad>"]


def test_untrained_it_hands_back_its_source_as_the_autoencoder_draws_it() -> None:
    policy = FluxKontextPolicy(build_shapes_editor(INSTRUCTIONS, seed=0), plain_settings("shapes-editor"))
    condition = policy.encode([pictures((96, 96))], INSTRUCTIONS[:1])
    noise = policy.noise(condition, torch.Generator().manual_seed(0))
    edited = policy.decode(sample_ode(policy, condition, noise, steps=3))
    assert edited[0].tobytes() == policy.decode(condition.tensors["source_latents"])[0].tobytes()


def test_same_seed_same_weights_and_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    first, second = (build_shapes_editor(INSTRUCTIONS, seed=4).transformer.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), before)


def test_its_ode_sampling_equals_the_pipelines_own_output(folder: Path) -> None:
    policy = load_editor(folder)
    sources = pictures((96, 96))
    condition = policy.encode([sources], INSTRUCTIONS[:1])
    ours = sample_ode(policy, condition, policy.noise(condition, torch.Generator().manual_seed(7)), steps=3)
    pipeline = FluxKontextPipeline.from_pretrained(str(folder))
    theirs = pipeline(
        image=sources[0], prompt=INSTRUCTIONS[0], width=96, height=96, max_area=96 * 96,
        num_inference_steps=3, max_sequence_length=26, _auto_resize=False, output_type="latent",
        generator=torch.Generator().manual_seed(7),
    ).images  # fmt: skip
    assert (pipeline._pack_latents(ours, *ours.shape) - theirs).abs().max() < 2e-4 * theirs.abs().max()


@pytest.mark.slow
def test_a_process_that_has_imported_nothing_else_loads_it(folder: Path) -> None:
    program = (
        "import sys; from edit_grpo.policies.loading import load_policy; "
        "from edit_grpo.policies.settings import PolicySettings; "
        "load_policy(PolicySettings(name=sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True)


def test_it_trains_by_lora_like_the_large_ones(folder: Path) -> None:
    policy = load_policy(plain_settings(folder).model_copy(update={"lora": EditorLora(rank=4, alpha=8.0)}))
    condition = policy.encode([pictures((96, 96))], INSTRUCTIONS[:1])
    latents = policy.noise(condition, torch.Generator().manual_seed(0))
    first = policy.velocity(latents, torch.tensor([0.5]), condition)
    first.square().mean().backward()
    with torch.no_grad():
        for parameter in policy.trainable():
            parameter.sub_(0.1 * parameter.grad.sign())
        assert not torch.allclose(policy.velocity(latents, torch.tensor([0.5]), condition), first, atol=1e-3)
        with policy.reference():
            assert torch.equal(policy.velocity(latents, torch.tensor([0.5]), condition), first)
