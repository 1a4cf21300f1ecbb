"""Flux's transformer for large pixel patches: it predicts the change from the source to the edited picture.

A token of 16×16 pixels has 768 values and a small transformer 128 channels: the noise in a velocity does not
fit through them, a picture does. So the output is read as x̂_0 − source and turned into a velocity outside of
the network ("Back to Basics", arXiv 2511.13720, predicts x_0 for the same reason), and it comes from an MLP,
since 128 directions do not hold the patches of the shapes world. Untrained, it changes nothing.
"""

from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

__all__ = ["ChangeFluxTransformer2DModel", "ModelMixin"]  # diffusers looks a class's bases up in its module

SIGMA_FLOOR = 0.05
"""v = (x_σ − x̂_0) / σ is bounded below this σ."""


class ChangeFluxTransformer2DModel(FluxTransformer2DModel):  # type: ignore[misc]  # diffusers is Any here
    """FluxTransformer2DModel, its blocks untouched, on latents followed by as many source tokens."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        patch_size: int = 1,
        in_channels: int = 768,
        out_channels: int | None = None,
        num_layers: int = 2,
        num_single_layers: int = 4,
        attention_head_dim: int = 32,
        num_attention_heads: int = 4,
        joint_attention_dim: int = 128,
        pooled_projection_dim: int = 64,
        guidance_embeds: bool = False,
        axes_dims_rope: tuple[int, int, int] = (8, 12, 12),
        head_width: int = 512,
    ) -> None:
        super().__init__(
            patch_size, in_channels, out_channels, num_layers, num_single_layers, attention_head_dim,
            num_attention_heads, joint_attention_dim, pooled_projection_dim, guidance_embeds, axes_dims_rope,
        )  # fmt: skip
        head = nn.Linear(head_width, patch_size**2 * self.out_channels)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        self.proj_out = nn.Sequential(nn.Linear(self.inner_dim, head_width), nn.GELU(), head)

    def forward(
        self,
        hidden_states: torch.Tensor,  # [batch, 2·tokens, channels]: latents, then the source
        *args: Any,
        timestep: torch.Tensor,  # [batch]: σ
        return_dict: bool = True,
        **kwargs: Any,
    ) -> tuple[torch.Tensor] | Transformer2DModelOutput:
        """The velocity of the latents, [batch, tokens, channels]."""
        tokens = hidden_states.shape[1] // 2
        change = super().forward(hidden_states, *args, timestep=timestep, return_dict=False, **kwargs)[0]
        latents, source = hidden_states[:, :tokens], hidden_states[:, tokens:]
        data = source + change[:, :tokens]
        velocity = (latents - data) / timestep.clamp(min=SIGMA_FLOOR)[:, None, None].to(data.dtype)
        return Transformer2DModelOutput(sample=velocity) if return_dict else (velocity,)
