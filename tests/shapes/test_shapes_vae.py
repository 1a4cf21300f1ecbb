import torch

from edit_rrm_shapes.tiny_editor.vae import ShapesVAE


def _grown() -> ShapesVAE:
    """An autoencoder whose encoder's outputs vary as much as after thousands of steps."""
    torch.manual_seed(0)
    vae = ShapesVAE()
    with torch.no_grad():
        vae.encoder[-1].weight.mul_(1e5)
    vae.norm.momentum = None  # the mean of all batches
    vae.train()
    for seed in range(3):
        vae.encode(_pictures(seed))
    return vae.eval()


def _pictures(seed: int) -> torch.Tensor:
    return torch.rand((4, 3, 96, 96), generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


def test_latents_have_unit_variance_and_absorbing_the_norm_keeps_them() -> None:
    vae = _grown()
    pictures = _pictures(9)
    latents = vae.encode(pictures).latents
    assert abs(latents.std().item() - 1.0) < 0.1
    vae.absorb_norm()
    assert torch.allclose(vae.encode(pictures).latents, latents, atol=1e-3)


def test_half_precision_holds_an_autoencoder_whose_norm_is_absorbed() -> None:
    vae = _grown()
    pictures = _pictures(9)
    latents = vae.encode(pictures).latents
    assert vae.norm.running_var.max() > torch.finfo(torch.float16).max  # what would be lost
    vae.absorb_norm()
    stored = ShapesVAE().eval()
    stored.load_state_dict(vae.half().state_dict())
    assert torch.allclose(stored.encode(pictures).latents, latents, atol=0.02)
