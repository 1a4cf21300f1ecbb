"""The shapes editor's autoencoder: 8×8 pixels to 16 channels, and pictures drawn from them.

It has of diffusers' AutoencoderKL what FluxKontextPipeline touches (encode, decode, three numbers of the
config), so that the shapes editor takes the pipeline's own path. Latents have unit variance (a batch norm
without weights); the decoder is trained on latents with noise, so that what an editor gets slightly wrong
is still drawn with clean edges. On folded pixels, without it, a transformer of this size smears what it
draws (docs/notes/the-shapes-editor.md).
"""

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

NORM_MOMENTUM = 0.02


@dataclass(frozen=True)
class ShapesLatents:
    """What `encode` gives; the pipeline asks for `latents`."""

    latents: torch.Tensor  # [batch, latent channels, height / 8, width / 8]


class ShapesVAE(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is Any here
    """Folds 8×8 pixels, then convolutions at that resolution; as many steps back.

    The pipeline takes the fold from the length of `block_out_channels` (2^(length − 1)) and packs 2×2 latents
    into a token, so that a token is 16×16 pixels.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        block_out_channels: tuple[int, ...] = (160, 160, 160, 160),
        latent_channels: int = 16,
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
    ) -> None:
        super().__init__()
        self.fold = fold = 2 ** (len(block_out_channels) - 1)
        width = block_out_channels[-1]
        pixels = 3 * fold**2
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(fold),
            nn.Conv2d(pixels, 2 * width, 1), nn.GELU(),
            nn.Conv2d(2 * width, width, 1), nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1), nn.GELU(),
            nn.Conv2d(width, latent_channels, 1),
        )  # fmt: skip
        self.norm = nn.BatchNorm2d(latent_channels, affine=False, momentum=NORM_MOMENTUM)
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, width, 3, padding=1), nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1), nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1), nn.GELU(),
            nn.Conv2d(width, 4 * width, 1), nn.GELU(),
            nn.Conv2d(4 * width, pixels, 1),
            nn.PixelShuffle(fold),
        )  # fmt: skip

    def absorb_norm(self) -> None:
        """Moves the norm into the convolution before it: the latents stay, and half precision holds them.

        While it learns the encoder's outputs grow freely, their variance beyond what float16 has.
        """
        last = self.encoder[-1]
        scale = (self.norm.running_var + self.norm.eps).rsqrt()
        with torch.no_grad():
            last.bias.copy_((last.bias - self.norm.running_mean) * scale)
            last.weight.mul_(scale[:, None, None, None])
            self.norm.running_mean.zero_()
            self.norm.running_var.fill_(1.0 - self.norm.eps)

    def encode(self, pixels: torch.Tensor) -> ShapesLatents:  # [batch, 3, height, width] in −1 to 1
        """The latents of pictures."""
        return ShapesLatents(self.norm(self.encoder(pixels)))

    def decode(self, latents: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        """The pictures of latents, in a tuple as the pipeline expects them; [batch, 3, height, width]."""
        return (self.decoder(latents),)
