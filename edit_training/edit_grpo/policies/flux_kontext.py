"""FLUX.1-Kontext as an EditPolicy, on diffusers' own parts; also the shapes editor, a small one of its kind.

Packing, image ids, guidance, shift and scaling are the pipeline's own functions. The output has the source's
size, rounded down to whole tokens; the pipeline's resizing to preferred sizes is left out.
"""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import FluxKontextPipeline
from PIL import Image

from edit_grpo.policies.diffusers_policy import SOURCE, DiffusersPolicy
from edit_grpo.policies.errors import PolicySettingsError
from edit_grpo.policies.lora_layers import LoraLayers
from edit_grpo.policies.pictures import is_size_of_area
from edit_grpo.policies.policy import Condition
from edit_grpo.policies.settings import PolicySettings

GUIDANCE_SCALE = 2.5
MAX_TEXT_TOKENS = 512
TEXT, POOLED = "text_embeds", "pooled_text"  # [batch, tokens, channels], [batch, channels]


class FluxKontextPolicy(DiffusersPolicy):
    """A FluxKontextPipeline's parts."""

    TEXT_ENCODERS = ("text_encoder", "text_encoder_2")
    LORA_LAYERS = LoraLayers(
        attention=r"(single_)?transformer_blocks\.\d+\.attn\.(to_[qkv]|to_out\.0|add_[qkv]_proj|to_add_out)",
        mlp=r"transformer_blocks\.\d+\.ff(_context)?\.net\.(0\.proj|2)"
        r"|single_transformer_blocks\.\d+\.proj_(mlp|out)",
    )

    def __init__(
        self, pipeline: FluxKontextPipeline, settings: PolicySettings, *, keep_reference: bool = True
    ) -> None:
        super().__init__(pipeline, settings, keep_reference=keep_reference)
        if settings.true_cfg_scale != 1.0:
            raise PolicySettingsError("true_cfg_scale is of other editors; Kontext's is guidance_scale")
        self._guided: bool = pipeline.transformer.config.guidance_embeds
        if settings.guidance_scale is not None and not self._guided:
            raise PolicySettingsError("guidance_scale is set, but this transformer has no guidance embedding")

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """See DiffusersPolicy."""
        pixels = pixels.to(self.device, self.latent_dtype)
        latents: torch.Tensor = self._pipeline._encode_vae_image(pixels, generator=None)
        return latents

    def encode_text(self, instructions: Sequence[str]) -> dict[str, torch.Tensor]:
        """The condition's tensors that come from instructions; with gradient unless disabled."""
        limit = self._settings.max_text_tokens
        if limit is None:
            limit = min(MAX_TEXT_TOKENS, self._pipeline.tokenizer_2.model_max_length)
        embeds, pooled, _ = self._pipeline.encode_prompt(
            prompt=list(instructions), prompt_2=None, device=self.device, max_sequence_length=limit
        )
        return {TEXT: embeds, POOLED: pooled}

    def encode_tokens(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:  # [batch, tokens] int64
        """As `encode_text`, where both encoders have one tokenizer and instructions are tokens already."""
        pooled = self._pipeline.text_encoder(ids).pooler_output
        return {TEXT: self._pipeline.text_encoder_2(ids)[0], POOLED: pooled}

    def velocity(self, latents: torch.Tensor, sigma: torch.Tensor, condition: Condition) -> torch.Tensor:
        """v at (x_σ, σ), [batch, channels, height, width]; see EditPolicy."""
        noisy = self._pack(latents.to(self.latent_dtype))
        text = condition.tensors[TEXT]
        predicted = self._trained(
            hidden_states=torch.cat([noisy, self._pack(condition.tensors[SOURCE])], dim=1),
            timestep=self._model_time(sigma),
            guidance=self._guidance(len(latents)),
            pooled_projections=condition.tensors[POOLED],
            encoder_hidden_states=text,
            txt_ids=torch.zeros(text.shape[1], 3, device=text.device, dtype=text.dtype),
            img_ids=self._image_ids(*self._grid(latents)),
        )
        return self._unpack(predicted[:, : noisy.shape[1]], latents)

    def decode_pixels(self, latents: torch.Tensor) -> torch.Tensor:
        """See DiffusersPolicy."""
        vae = self._pipeline.vae
        scaled = latents.to(self.latent_dtype) / vae.config.scaling_factor + vae.config.shift_factor
        pixels: torch.Tensor = vae.decode(scaled, return_dict=False)[0]
        return pixels

    def encode_texts(
        self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        return self.encode_text(instructions)

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        token, area = self._token_side, self._settings.area_pixels
        if area is not None and not (
            width % token == height % token == 0 and is_size_of_area((width, height), area, token, 0.5)
        ):
            ratio = width / height
            width, height = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        return max(token, width // token * token), max(token, height // token * token)

    def _image_ids(self, rows: int, columns: int) -> torch.Tensor:  # [2·tokens, 3]
        """Places of the latents' tokens, then of the source's, which differ in the first coordinate."""
        make: Any = self._pipeline._prepare_latent_image_ids
        latents = make(1, rows, columns, self.device, self.latent_dtype)
        source = latents.clone()
        source[:, 0] = 1
        return torch.cat([latents, source])

    def _guidance(self, batch: int) -> torch.Tensor | None:
        if not self._guided:
            return None
        return torch.full((batch,), self._settings.guidance_scale or GUIDANCE_SCALE, device=self.device)
