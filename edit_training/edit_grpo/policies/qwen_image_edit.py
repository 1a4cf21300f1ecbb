"""Qwen-Image-Edit as an EditPolicy, on diffusers' own parts.

The prompt template, the text encoder's call, packing and scaling are the pipeline's own functions. The source
is brought to 1024×1024 pixels' area as there, unless `area_pixels` says otherwise.
"""

from collections.abc import Sequence

import torch
from diffusers import QwenImageEditPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit as published
from PIL import Image

from edit_grpo.policies.diffusers_policy import SOURCE, DiffusersPolicy, finite_pictures, is_size_of_area
from edit_grpo.policies.errors import PolicySettingsError
from edit_grpo.policies.policy import Condition
from edit_grpo.policies.settings import PolicySettings

AREA_PIXELS = 1024 * 1024
_MULTIPLE = 32  # of which the pipeline makes each side
TEXT, MASK = "text_embeds", "text_mask"  # [batch, tokens, channels], [batch, tokens]
NEGATIVE = "negative_"
"""Before the names of the negative prompt's tensors."""


class QwenImageEditPolicy(DiffusersPolicy):
    """A QwenImageEditPipeline's parts."""

    def __init__(
        self, pipeline: QwenImageEditPipeline, settings: PolicySettings, *, keep_reference: bool = True
    ) -> None:
        super().__init__(pipeline, settings, keep_reference=keep_reference)
        if settings.guidance_scale is not None:
            raise PolicySettingsError("guidance_scale is Kontext's; Qwen-Image-Edit's is true_cfg_scale")
        if settings.max_text_tokens is not None:
            raise PolicySettingsError("max_text_tokens is Kontext's; Qwen-Image-Edit pads to the longest")

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is Any here
    def encode(self, sources: Sequence[Image.Image], instructions: Sequence[str]) -> Condition:
        """Source latents, and what the vision-language encoder made of source and instruction."""
        self._one_size(sources)
        pictures = [self.prepare(source) for source in sources]
        width, height = self._one_size(pictures)
        pixels = self._pipeline.image_processor.preprocess(pictures, height, width).to(
            self.device, self.latent_dtype
        )
        latents = self._pipeline._encode_vae_image(pixels.unsqueeze(2), generator=None).squeeze(2)
        tensors = {SOURCE: latents, **self._text(pictures, list(instructions))}
        if self._settings.true_cfg_scale > 1.0:
            negative = self._text(pictures, [self._settings.negative_prompt] * len(pictures))
            tensors |= {NEGATIVE + name: each for name, each in negative.items()}
        return Condition(tensors)

    def velocity(self, latents: torch.Tensor, sigma: torch.Tensor, condition: Condition) -> torch.Tensor:
        """v at (x_σ, σ), [batch, channels, height, width]; with `true_cfg_scale` the combined one."""
        height, width = latents.shape[-2:]
        noisy = self._pack(latents.to(self.latent_dtype))
        tokens = torch.cat([noisy, self._pack(condition.tensors[SOURCE])], dim=1)
        time = self._model_time(sigma)
        grid = (1, height // 2, width // 2)

        def predict(prefix: str) -> torch.Tensor:
            predicted = self._trained(
                hidden_states=tokens,
                timestep=time,
                encoder_hidden_states=condition.tensors[prefix + TEXT],
                encoder_hidden_states_mask=condition.tensors.get(prefix + MASK),
                img_shapes=[[grid, grid]] * len(latents),
            )
            return predicted[:, : noisy.shape[1]]

        velocity = predict("")
        if self._settings.true_cfg_scale > 1.0:
            velocity = _combined(velocity, predict(NEGATIVE), self._settings.true_cfg_scale)
        return self._unpack(velocity, latents)

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is Any here
    def decode(self, latents: torch.Tensor) -> list[Image.Image | None]:
        """x_0 as RGB pictures, None for one that is not finite."""
        vae = self._pipeline.vae
        frames = latents.to(self.latent_dtype).unsqueeze(2)  # [batch, channels, 1, height, width]
        mean, std = (
            frames.new_tensor(values).view(1, -1, 1, 1, 1)
            for values in (vae.config.latents_mean, vae.config.latents_std)
        )
        pixels = vae.decode(frames * std + mean, return_dict=False)[0][:, :, 0]
        return finite_pictures(pixels, self._pipeline.image_processor.postprocess)

    def _target_size(self, width: int, height: int) -> tuple[int, int]:
        area = self._settings.area_pixels or AREA_PIXELS
        half = _MULTIPLE / 2
        if width % _MULTIPLE == height % _MULTIPLE == 0 and is_size_of_area(
            (width, height), area, half, half
        ):
            return width, height
        width, height, _ = published.calculate_dimensions(area, width / height)
        return width, height

    def _text(self, pictures: list[Image.Image], instructions: list[str]) -> dict[str, torch.Tensor]:
        embeds, mask = self._pipeline.encode_prompt(prompt=instructions, image=pictures, device=self.device)
        embeds = embeds.to(self.latent_dtype)
        return {TEXT: embeds} if mask is None else {TEXT: embeds, MASK: mask}


def _combined(
    wanted: torch.Tensor,  # [batch, tokens, channels]
    unwanted: torch.Tensor,  # [batch, tokens, channels]
    scale: float,
) -> torch.Tensor:
    """The pipeline's true classifier-free guidance: extrapolated, then brought back to `wanted`'s norm."""
    combined = unwanted + scale * (wanted - unwanted)
    return combined * (wanted.norm(dim=-1, keepdim=True) / combined.norm(dim=-1, keepdim=True))
