"""FLUX.2 klein as an EditPolicy, on diffusers' own parts: several sources, which only the autoencoder sees.

Ids, packing, the schedule's shift and the autoencoder's normalisation are the pipeline's own functions. A
source is shrunk to 1024×1024 pixels' area if it is larger, as there, and cropped to whole tokens;
`area_pixels` brings it to that area instead. That the pipeline refuses sources under 64 pixels or beyond 8:1
is left out.
"""

import math
from collections.abc import Sequence

import torch
from diffusers import Flux2KleinPipeline
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from PIL import Image

from edit_grpo.policies.diffusers_policy import NEGATIVE, DiffusersPolicy, source_latents
from edit_grpo.policies.errors import PolicySettingsError
from edit_grpo.policies.lora_layers import LoraLayers
from edit_grpo.policies.pictures import is_size_of_area, one_size
from edit_grpo.policies.policy import Condition
from edit_grpo.policies.settings import PolicySettings
from edit_rrm.wire import MAX_SOURCES

LARGEST_AREA_PIXELS = 1024 * 1024
MAX_TEXT_TOKENS = 512
TEXT = "text_embeds"  # [batch, tokens, channels]


class Flux2KleinPolicy(DiffusersPolicy):
    """A Flux2KleinPipeline's parts. Latents are patches already: a token is one of their places."""

    LORA_LAYERS = LoraLayers(
        attention=r"transformer_blocks\.\d+\.attn\.(to_[qkv]|to_out\.0|add_[qkv]_proj|to_add_out)"
        r"|single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out)",  # attention and MLP in one
        mlp=r"transformer_blocks\.\d+\.ff(_context)?\.linear_(in|out)",
    )
    max_sources = MAX_SOURCES

    def __init__(
        self, pipeline: Flux2KleinPipeline, settings: PolicySettings, *, keep_reference: bool = True
    ) -> None:
        super().__init__(pipeline, settings, keep_reference=keep_reference)
        if settings.guidance_scale is not None:
            raise PolicySettingsError("guidance_scale is Kontext's; FLUX.2 klein's is true_cfg_scale")
        if settings.true_cfg_scale > 1.0 and pipeline.config.is_distilled:
            raise PolicySettingsError(
                "true_cfg_scale is set, but this FLUX.2 klein is distilled: only a base model takes guidance"
            )

    def prepare(self, source: Image.Image) -> Image.Image:
        """The source, resized where it is not of its area, and cropped about its centre to whole tokens."""
        width, height = self.target_size(*one_size([source], self._token_side))
        if (width, height) == source.size:
            return source
        area = self._area(*source.size)
        if area is not None:
            source = self._pipeline.image_processor._resize_to_target_area(source, area)
            one_size([source], self._token_side)
        left, top = (source.width - width) // 2, (source.height - height) // 2
        return source.crop((left, top, left + width, top + height))

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """See DiffusersPolicy; channels are those of a token."""
        pixels = pixels.to(self.device, self.latent_dtype)
        latents: torch.Tensor = self._pipeline._encode_vae_image(pixels, generator=None)
        return latents

    def velocity(self, latents: torch.Tensor, sigma: torch.Tensor, condition: Condition) -> torch.Tensor:
        """v at (x_σ, σ), [batch, channels, height, width]; with `true_cfg_scale` the extrapolated one."""
        noisy, sources = self._pack(latents.to(self.latent_dtype)), source_latents(condition)
        tokens = torch.cat([noisy, *map(self._pack, sources)], dim=1)
        time, ids = self._model_time(sigma), self._image_ids(latents, sources)

        def predict(prefix: str) -> torch.Tensor:
            text = condition.tensors[prefix + TEXT]
            predicted = self._trained(
                hidden_states=tokens,
                timestep=time,
                guidance=None,
                encoder_hidden_states=text,
                txt_ids=self._pipeline._prepare_text_ids(text).to(self.device),
                img_ids=ids,
            )
            return predicted[:, : noisy.shape[1]]

        velocity = predict("")
        if self._settings.true_cfg_scale > 1.0:
            unwanted = predict(NEGATIVE)
            velocity = unwanted + self._settings.true_cfg_scale * (velocity - unwanted)
        return self._unpack(velocity, latents)

    def decode_pixels(self, latents: torch.Tensor) -> torch.Tensor:
        """See DiffusersPolicy."""
        vae = self._pipeline.vae
        latents = latents.to(self.latent_dtype)
        std = torch.sqrt(vae.bn.running_var + vae.config.batch_norm_eps)
        mean, std = (each.view(1, -1, 1, 1).to(latents) for each in (vae.bn.running_mean, std))
        patches = latents * std + mean
        pixels: torch.Tensor = vae.decode(self._pipeline._unpatchify_latents(patches), return_dict=False)[0]
        return pixels

    def encode_texts(
        self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        tensors = {TEXT: self._text(instructions)}
        if self._settings.true_cfg_scale > 1.0:
            tensors[NEGATIVE + TEXT] = self._text([self._negative_prompt] * len(instructions))
        return tensors

    def _text(self, instructions: Sequence[str]) -> torch.Tensor:
        limit = self._settings.max_text_tokens or MAX_TEXT_TOKENS
        embeds, _ = self._pipeline.encode_prompt(
            prompt=list(instructions), device=self.device, max_sequence_length=limit
        )
        text: torch.Tensor = embeds.to(self.latent_dtype)
        return text

    def _image_ids(self, latents: torch.Tensor, sources: Sequence[torch.Tensor]) -> torch.Tensor:
        """[batch, tokens, 4]: places of the latents' tokens, then of each source's at a time of its own."""
        drawn = self._pipeline._prepare_latent_ids(latents)
        given = self._pipeline._prepare_image_ids([each[:1] for each in sources])
        return torch.cat([drawn, given.expand(len(latents), -1, -1)], dim=1).to(self.device)

    def _area(self, width: int, height: int) -> int | None:
        """The area that a source is resized to; None where it keeps its own."""
        if self._settings.area_pixels is not None:
            return self._settings.area_pixels
        return LARGEST_AREA_PIXELS if width * height > LARGEST_AREA_PIXELS else None

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        token, area = self._token_side, self._area(width, height)
        whole = width % token == height % token == 0
        if area is not None and not (whole and is_size_of_area((width, height), area, token, 0.0)):
            scale = math.sqrt(area / (width * height))
            width, height = int(width * scale), int(height * scale)
        return max(token, width // token * token), max(token, height // token * token)

    def _shift(self, tokens: int, steps: int) -> float:
        mu: float = compute_empirical_mu(image_seq_len=tokens, num_steps=steps)
        return mu

    def _grid(self, latents: torch.Tensor) -> tuple[int, int]:
        rows, columns = latents.shape[-2:]
        return rows, columns

    def _pack(self, latents: torch.Tensor) -> torch.Tensor:
        packed: torch.Tensor = self._pipeline._pack_latents(latents)
        return packed

    def _unpack(self, tokens: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return tokens.transpose(1, 2).reshape(latents.shape)
