"""Flow matching's arithmetic: noise levels, their weights, the loss. Pure functions.

On the straight path x_σ of `edit_grpo.rollout.sde.noised` the target is v = x_1 − x_0 (Lipman et al.,
arXiv 2210.02747; logit-normal σ: Esser et al., arXiv 2403.03206).
"""

import torch

from edit_rrm_shapes.tiny_editor.settings import FlowSettings


def draw_sigmas(count: int, settings: FlowSettings, generator: torch.Generator) -> torch.Tensor:
    """Noise levels in (0, 1): [count] float32, on the generator's device."""
    if settings.sigma == "uniform":
        return torch.rand(count, generator=generator, device=generator.device)
    drawn = torch.randn(count, generator=generator, device=generator.device)
    logits = drawn * settings.sigma_std + settings.sigma_mean
    return torch.sigmoid(logits)


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
