"""Qwen-Image-Edit as an EditPolicy, on diffusers' own parts.

The prompt template, the text encoder's call, packing and scaling are the pipeline's own functions. The source
is brought to 1024×1024 pixels' area as there, unless `area_pixels` says otherwise.
"""

from collections.abc import Sequence

import torch
from diffusers import QwenImageEditPipeline, QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_dimensions
from PIL import Image

from edit_grpo.policies.diffusers_policy import NEGATIVE, DiffusersPolicy, source_latents
from edit_grpo.policies.errors import PolicySettingsError
from edit_grpo.policies.lora_layers import LoraLayers
from edit_grpo.policies.pictures import is_size_of_area
from edit_grpo.policies.policy import Condition
from edit_grpo.policies.settings import PolicySettings

AREA_PIXELS = 1024 * 1024
_MULTIPLE = 32  # of which the pipeline makes each side
TEXT, MASK = "text_embeds", "text_mask"  # [batch, tokens, channels], [batch, tokens]


class QwenImageEditPolicy(DiffusersPolicy):
    """A QwenImageEditPipeline's parts."""

    LORA_LAYERS = LoraLayers(
        attention=r"transformer_blocks\.\d+\.attn\.(to_[qkv]|to_out\.0|add_[qkv]_proj|to_add_out)",
        mlp=r"transformer_blocks\.\d+\.(img|txt)_mlp\.net\.(0\.proj|2)",
    )
    NEGATIVE_PROMPT = " "

    def __init__(
        self,
        pipeline: QwenImageEditPipeline | QwenImageEditPlusPipeline,
        settings: PolicySettings,
        *,
        keep_reference: bool = True,
    ) -> None:
        super().__init__(pipeline, settings, keep_reference=keep_reference)
        if settings.guidance_scale is not None:
            raise PolicySettingsError("guidance_scale is Kontext's; Qwen-Image-Edit's is true_cfg_scale")
        if settings.max_text_tokens is not None:
            raise PolicySettingsError("max_text_tokens is of FLUX; Qwen-Image-Edit pads to the longest")
        pipeline.vae.decoder.register_forward_hook(_infinite_is_no_number)

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """See DiffusersPolicy."""
        frames = pixels.to(self.device, self.latent_dtype).unsqueeze(2)  # [batch, 3, 1, height, width]
        latents: torch.Tensor = self._pipeline._encode_vae_image(frames, generator=None).squeeze(2)
        return latents

    def velocity(self, latents: torch.Tensor, sigma: torch.Tensor, condition: Condition) -> torch.Tensor:
        """v at (x_σ, σ), [batch, channels, height, width]; with `true_cfg_scale` the combined one."""
        noisy, sources = self._pack(latents.to(self.latent_dtype)), source_latents(condition)
        tokens = torch.cat([noisy, *map(self._pack, sources)], dim=1)
        time = self._model_time(sigma)
        grids = [(1, *self._grid(each)) for each in (latents, *sources)]

        def predict(prefix: str) -> torch.Tensor:
            predicted = self._trained(
                hidden_states=tokens,
                timestep=time,
                encoder_hidden_states=condition.tensors[prefix + TEXT],
                encoder_hidden_states_mask=condition.tensors.get(prefix + MASK),
                img_shapes=[grids] * len(latents),
            )
            return predicted[:, : noisy.shape[1]]

        velocity = predict("")
        if self._settings.true_cfg_scale > 1.0:
            velocity = _combined(velocity, predict(NEGATIVE), self._settings.true_cfg_scale)
        return self._unpack(velocity, latents)

    def decode_pixels(self, latents: torch.Tensor) -> torch.Tensor:
        """See DiffusersPolicy."""
        vae = self._pipeline.vae
        frames = latents.to(self.latent_dtype).unsqueeze(2)  # [batch, channels, 1, height, width]
        mean, std = (
            frames.new_tensor(values).view(1, -1, 1, 1, 1)
            for values in (vae.config.latents_mean, vae.config.latents_std)
        )
        pixels: torch.Tensor = vae.decode(frames * std + mean, return_dict=False)[0][:, :, 0]
        return pixels

    def encode_texts(
        self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        tensors = self._text(sources, instructions)
        if self._settings.true_cfg_scale > 1.0:
            negative = self._text(sources, [self._negative_prompt] * len(instructions))
            tensors |= {NEGATIVE + name: each for name, each in negative.items()}
        return tensors

    def _text(
        self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        """TEXT and, where tokens are padded, MASK: what the encoder makes of pictures and instructions."""
        pictures = [picture for (picture,) in sources]
        embeds, mask = self._pipeline.encode_prompt(
            prompt=list(instructions), image=pictures, device=self.device
        )
        embeds = embeds.to(self.latent_dtype)
        return {TEXT: embeds} if mask is None else {TEXT: embeds, MASK: mask}

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        area = self._settings.area_pixels or AREA_PIXELS
        half = _MULTIPLE / 2
        if width % _MULTIPLE == height % _MULTIPLE == 0 and is_size_of_area(
            (width, height), area, half, half
        ):
            return width, height
        width, height = calculate_dimensions(area, width / height)
        return width, height


def _infinite_is_no_number(module: torch.nn.Module, given: object, decoded: torch.Tensor) -> torch.Tensor:
    """The autoencoder clamps what its decoder gives: an infinity would become black or white, NaN stays."""
    return torch.where(decoded.isfinite(), decoded, torch.nan)


def _combined(
    wanted: torch.Tensor,  # [batch, tokens, channels]
    unwanted: torch.Tensor,  # [batch, tokens, channels]
    scale: float,
) -> torch.Tensor:
    """The pipeline's true classifier-free guidance: extrapolated, then brought back to `wanted`'s norm."""
    combined = unwanted + scale * (wanted - unwanted)
    return combined * (wanted.norm(dim=-1, keepdim=True) / combined.norm(dim=-1, keepdim=True))
