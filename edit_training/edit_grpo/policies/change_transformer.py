"""Flux's transformer for large pixel patches: it predicts the change from the source to the edited picture.

A token of 16×16 pixels has 768 values and a small transformer 160 channels: the noise in a velocity does not
fit through them, a picture does. So the output is read as x̂_0 − source and turned into a velocity outside of
the network ("Back to Basics", arXiv 2511.13720, predicts x_0 for the same reason), and it comes from an MLP,
since 160 directions do not hold the patches of the shapes world. Untrained, it changes nothing.

A token sees its place twice: the noised change, x_σ − (1 − σ)·source, which is σ·noise wherever nothing is to
change, and the source's own patch beside it. Kontext puts the source's tokens after the latents' instead, and
a transformer of this size spends most of its training on learning to look there.

What 160 channels say of a patch is where something changes, and roughly how; edges and stripes do not fit
through. Convolutions over the whole picture draw them, from what the transformer said, from what is already
there under the noise, and from the source, as a VAE's decoder does it in a large editor.
"""

from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import nn
from torch.nn import functional

__all__ = ["ChangeFluxTransformer2DModel", "ModelMixin"]  # diffusers looks a class's bases up in its module

SIGMA_FLOOR = 0.05
"""v = (x_σ − x̂_0) / σ is bounded below this σ."""


class Refiner(nn.Module):  # type: ignore[misc]  # torch is Any here
    """Convolutions at half the resolution, receptive field 34 pixels; untrained, they change nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, 12, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Conv2d(37, width, 3, padding=1), nn.GELU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2), nn.GELU(),
            nn.Conv2d(width, width, 3, padding=4, dilation=4), nn.GELU(),
            last,
        )  # fmt: skip
        for layer in self.layers[:-1:2]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(
        self,
        change: torch.Tensor,  # [batch, tokens, channels]: the transformer's
        seen: torch.Tensor,  # [batch, tokens, 2·channels]: the noised change, then the source
        level: torch.Tensor,  # [batch, 1, 1]: σ
        rows: int,
    ) -> torch.Tensor:  # [batch, tokens, channels]
        """A better change."""
        pictures = [picture_of(each, rows) for each in (change, *seen.chunk(2, dim=-1))]
        halved = functional.pixel_unshuffle(torch.cat(pictures, dim=1), 2)
        levels = level[..., None].expand(-1, 1, *halved.shape[-2:])
        drawn = functional.pixel_shuffle(self.layers(torch.cat([halved, levels], dim=1)), 2)
        return change + tokens_of(drawn, rows, change)


def _fold(tokens: torch.Tensor) -> int:
    """Pixels of a patch's side over 2: PixelUnshuffleVAE's fold."""
    return int((tokens.shape[-1] // 12) ** 0.5)


def picture_of(tokens: torch.Tensor, rows: int) -> torch.Tensor:
    """Tokens of 2×2 folded latents as pixels: [batch, 3, height, width]."""
    batch, count, _ = tokens.shape
    fold = _fold(tokens)
    parts = tokens.reshape(batch, rows, count // rows, 3, fold, fold, 2, 2)
    height, width = 2 * fold * rows, 2 * fold * (count // rows)
    return parts.permute(0, 3, 1, 6, 4, 2, 7, 5).reshape(batch, 3, height, width)


def tokens_of(picture: torch.Tensor, rows: int, like: torch.Tensor) -> torch.Tensor:
    """The inverse of `picture_of`, in the shape of `like`."""
    fold = _fold(like)
    parts = picture.reshape(len(picture), 3, rows, 2, fold, like.shape[1] // rows, 2, fold)
    return parts.permute(0, 2, 5, 1, 4, 7, 3, 6).reshape(like.shape)


class ChangeFluxTransformer2DModel(FluxTransformer2DModel):  # type: ignore[misc]  # diffusers is Any here
    """FluxTransformer2DModel, its blocks untouched, on latents followed by as many source tokens."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        patch_size: int = 1,
        in_channels: int = 768,
        out_channels: int | None = None,
        num_layers: int = 1,
        num_single_layers: int = 5,
        attention_head_dim: int = 32,
        num_attention_heads: int = 5,
        joint_attention_dim: int = 128,
        pooled_projection_dim: int = 64,
        guidance_embeds: bool = False,
        axes_dims_rope: tuple[int, int, int] = (8, 12, 12),
        head_width: int = 768,
        refiner_width: int = 48,
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
        self.refiner = Refiner(refiner_width)

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
        change = self.refiner(change, seen, level, rows=int(places[:, 1].max()) + 1)
        velocity = (latents - source - change) / level.clamp(min=SIGMA_FLOOR)
        return Transformer2DModelOutput(sample=velocity) if return_dict else (velocity,)
