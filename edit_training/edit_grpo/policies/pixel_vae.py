"""In place of a VAE where pictures are small: pixels folded into channels, nothing learned.

It has of diffusers' AutoencoderKL what FluxKontextPipeline touches (encode, decode, three numbers of the
config), so that the shapes editor takes the pipeline's own path. It knows nothing of shapes.
"""

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch.nn import functional


@dataclass(frozen=True)
class PixelLatents:
    """What `encode` gives; the pipeline asks for `latents`."""

    latents: torch.Tensor  # [batch, 3·fold², height / fold, width / fold]


class PixelUnshuffleVAE(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is Any here
    """Folds blocks of 8×8 pixels into 192 channels, and back; exact.

    The pipeline takes the fold from the length of `block_out_channels` (2^(length − 1)) and packs 2×2 latents
    into a token, so that a token is 16×16 pixels.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        block_out_channels: tuple[int, ...] = (192, 192, 192, 192),
        latent_channels: int = 192,
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
    ) -> None:
        super().__init__()
        # Of a model without one tensor diffusers can tell neither device nor dtype, nor load its folder.
        self.register_buffer("one", torch.ones(1))
        self.fold = 2 ** (len(block_out_channels) - 1)
        if latent_channels != 3 * self.fold**2:
            raise ValueError(
                f"{len(block_out_channels)} blocks fold {self.fold}×{self.fold} pixels into "
                f"{3 * self.fold**2} channels, not {latent_channels}"
            )

    def encode(self, pixels: torch.Tensor) -> PixelLatents:  # [batch, 3, height, width]
        """The latents of pictures."""
        return PixelLatents(functional.pixel_unshuffle(pixels, self.fold))

    def decode(self, latents: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        """The pictures of latents, in a tuple as the pipeline expects them; [batch, 3, height, width]."""
        return (functional.pixel_shuffle(latents, self.fold),)
