"""Flux's transformer for a small editor: it predicts the change from the source to the edited picture.

The output is read as x̂_0 − source and turned into a velocity outside of the network ("Back to Basics", arXiv
2511.13720, predicts x_0 too): most of a picture is to stay, and untrained, all of it does.

A token sees its place twice: the noised change, x_σ − (1 − σ)·source, which is σ·noise wherever nothing is to
change, and the source's own patch beside it. Kontext puts the source's tokens after the latents' instead, and
a transformer of this size spends most of its training on learning to look there.
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
        in_channels: int = 64,
        out_channels: int | None = None,
        num_layers: int = 1,
        num_single_layers: int = 5,
        attention_head_dim: int = 32,
        num_attention_heads: int = 5,
        joint_attention_dim: int = 128,
        pooled_projection_dim: int = 64,
        guidance_embeds: bool = False,
        axes_dims_rope: tuple[int, int, int] = (8, 12, 12),
        head_width: int = 384,
    ) -> None:
        super().__init__(
            patch_size, in_channels, out_channels, num_layers, num_single_layers, attention_head_dim,
            num_attention_heads, joint_attention_dim, pooled_projection_dim, guidance_embeds, axes_dims_rope,
        )  # fmt: skip
        self.x_embedder = nn.Linear(2 * in_channels, self.inner_dim)
        head = nn.Linear(head_width, patch_size**2 * self.out_channels)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        self.proj_out = nn.Sequential(nn.Linear(self.inner_dim, head_width), nn.GELU(), head)

    def forward(
        self,
        hidden_states: torch.Tensor,  # [batch, 2·tokens, channels]: latents, then the source
        *args: Any,
        timestep: torch.Tensor,  # [batch]: σ
        img_ids: torch.Tensor,  # [2·tokens, 3]
        return_dict: bool = True,
        **kwargs: Any,
    ) -> tuple[torch.Tensor] | Transformer2DModelOutput:
        """The velocity of the latents, [batch, tokens, channels]."""
        latents, source = hidden_states.chunk(2, dim=1)
        level = timestep[:, None, None].to(latents.dtype)
        seen = torch.cat([latents - (1.0 - level) * source, source], dim=-1)
        places = img_ids[: latents.shape[1]]
        change = super().forward(seen, *args, timestep=timestep, img_ids=places, return_dict=False, **kwargs)[
            0
        ]
        velocity = (latents - source - change) / level.clamp(min=SIGMA_FLOOR)
        return Transformer2DModelOutput(sample=velocity) if return_dict else (velocity,)
