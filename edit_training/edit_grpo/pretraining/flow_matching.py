"""Flow matching's arithmetic: noise levels, the straight path, the loss. Pure functions.

x_σ = (1 − σ) x_0 + σ x_1 and the target is v = x_1 − x_0 (Lipman et al., arXiv 2210.02747; logit-normal σ:
Esser et al., arXiv 2403.03206).
"""

import torch

from edit_grpo.pretraining.settings import PretrainSettings


def draw_sigmas(count: int, settings: PretrainSettings, generator: torch.Generator) -> torch.Tensor:
    """Noise levels in (0, 1): [count] float32."""
    if settings.sigma == "uniform":
        return torch.rand(count, generator=generator)
    logits = torch.randn(count, generator=generator) * settings.sigma_std + settings.sigma_mean
    return torch.sigmoid(logits)


def noised(
    data: torch.Tensor,  # [batch, ...], x_0
    noise: torch.Tensor,  # [batch, ...], x_1
    sigmas: torch.Tensor,  # [batch]
) -> torch.Tensor:  # [batch, ...]
    """x_σ."""
    level = sigmas.view(-1, *[1] * (data.ndim - 1))
    return (1.0 - level) * data + level * noise


def level_weights(sigmas: torch.Tensor, floor: float) -> torch.Tensor:  # [batch]
    """min(1, σ / floor)²: a velocity's error is that of x̂_0 over σ, and below `floor` it grows no more."""
    return (sigmas / floor).clamp(max=1.0).square()


def flow_matching_loss(
    velocity: torch.Tensor,  # [batch, ...], with gradient
    data: torch.Tensor,  # [batch, ...]
    noise: torch.Tensor,  # [batch, ...]
    weights: torch.Tensor,  # [batch]
) -> torch.Tensor:  # scalar
    """The velocity's squared error, the mean over elements, weighted by row, the mean over the batch."""
    each = (velocity - (noise - data)).square().flatten(1).mean(dim=1)
    return (weights * each).mean()
