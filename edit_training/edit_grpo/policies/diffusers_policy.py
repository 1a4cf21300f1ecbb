"""What editors of diffusers have in common: a pipeline of frozen parts around one trained transformer.

A subclass says how its pipeline encodes, what its transformer is called with and how it decodes. Latents are
kept unpacked, [batch, channels, height, width], and packed into tokens only for the transformer.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.flux.pipeline_flux_kontext import calculate_shift, retrieve_timesteps
from PIL import Image

from edit_grpo.policies.errors import PictureSizeError
from edit_grpo.policies.policy import Condition
from edit_grpo.policies.settings import PolicySettings
from edit_grpo.policies.trained_transformer import TrainedTransformer

SOURCE = "source_latents"  # [batch, channels, height, width], the condition's name for the source


def is_size_of_area(size: tuple[int, int], area: int, below: float, above: float) -> bool:
    """Whether some source's shape gives this size, its exact sides of that area rounded.

    A side lies at most `below` under its exact one, and at most `above` over it, in pixels.
    """
    width, height = size
    narrowest = max((width - above) ** 2 / area, area / (height + below) ** 2)
    widest = min((width + below) ** 2 / area, area / max(height - above, 1) ** 2)
    return narrowest <= widest


def finite_pictures(pixels: torch.Tensor, postprocess: Any) -> list[Image.Image | None]:
    """Pictures of [batch, 3, height, width] by the pipeline's `postprocess`; None for one that is not finite.

    As a picture it would be black, and a judge would call it that: a failure must not become a reward.
    """
    finite = torch.isfinite(pixels).flatten(1).all(dim=1).tolist()
    pictures = postprocess(torch.nan_to_num(pixels), output_type="pil")
    return [picture if whole else None for picture, whole in zip(pictures, finite, strict=True)]


class DiffusersPolicy:
    """The parts of EditPolicy that do not depend on the model's family."""

    def __init__(self, pipeline: Any, settings: PolicySettings, *, keep_reference: bool = True) -> None:
        self._pipeline = pipeline
        self._settings = settings
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.eval().requires_grad_(False)
        self._trained = TrainedTransformer(pipeline.transformer, settings, keep_reference=keep_reference)

    @property
    def pipeline(self) -> Any:
        """The diffusers pipeline whose parts these are."""
        return self._pipeline

    def prepare(self, source: Image.Image) -> Image.Image:
        """The source as the pipeline itself resizes it; itself where that is its size. See EditPolicy."""
        width, height = self._target_size(*self._one_size([source]))
        if (width, height) == source.size:
            return source
        resized: Image.Image = self._pipeline.image_processor.resize(source, height, width)
        return resized

    def _target_size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) at which such a source is encoded; of such a size, that size."""
        raise NotImplementedError

    @property
    def module(self) -> torch.nn.Module:
        """The transformer, with its adapters if it has any, as accelerate wrapped it."""
        return self._trained.module

    @module.setter
    def module(self, wrapped: torch.nn.Module) -> None:
        self._trained.module = wrapped

    @property
    def device(self) -> torch.device:
        """Where the transformer is."""
        return next(self._trained.module.parameters()).device

    @property
    def latent_dtype(self) -> torch.dtype:
        """That of the frozen weights, as in the pipeline."""
        dtype: torch.dtype = getattr(torch, self._settings.dtype)
        return dtype

    def noise(self, condition: Condition, generator: torch.Generator) -> torch.Tensor:
        """x_1 for each row: [batch, channels, height, width], the pipeline's own draws."""
        shape = condition.tensors[SOURCE].shape
        drawn = torch.randn(shape, generator=generator, device=generator.device, dtype=self.latent_dtype)
        return drawn.to(self.device)

    def sigmas(self, steps: int, condition: Condition) -> list[float]:
        """The scheduler's schedule, shifted for this number of tokens as the pipeline does."""
        scheduler = self._pipeline.scheduler
        height, width = condition.tensors[SOURCE].shape[-2:]
        mu = calculate_shift(
            (height // 2) * (width // 2),
            scheduler.config.get("base_image_seq_len", 256),
            scheduler.config.get("max_image_seq_len", 4096),
            scheduler.config.get("base_shift", 0.5),
            scheduler.config.get("max_shift", 1.15),
        )
        even = np.linspace(1.0, 1.0 / steps, steps)
        retrieve_timesteps(scheduler, steps, "cpu", sigmas=even, mu=mu)
        values: list[float] = scheduler.sigmas.tolist()
        return values

    def reference(self) -> AbstractContextManager[None]:
        """Within it `velocity` is the one of the start."""
        return self._trained.reference()

    def trainable(self) -> list[torch.nn.Parameter]:
        """The parameters an optimiser may change."""
        return self._trained.trainable()

    def save(self, directory: Path) -> None:
        """The adapter in PEFT's layout, or the whole pipeline's folder; `load_policy` reads both."""
        if self._trained.adapted:
            self._trained.save_adapter(directory)
        else:
            self._pipeline.save_pretrained(str(directory))

    def _pack(self, latents: torch.Tensor) -> torch.Tensor:
        """[batch, channels, height, width] as tokens, [batch, height·width / 4, 4·channels]."""
        packed: torch.Tensor = self._pipeline._pack_latents(latents, *latents.shape)
        return packed

    def _unpack(self, tokens: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Tokens in the layout of `latents`, [batch, channels, height, width]."""
        scale = self._pipeline.vae_scale_factor
        height, width = latents.shape[-2:]
        unpacked = self._pipeline._unpack_latents(tokens, height * scale, width * scale, scale)
        return unpacked.view(latents.shape)

    def _model_time(self, sigma: torch.Tensor) -> torch.Tensor:
        """σ as the pipeline hands it over: by way of a timestep rounded to the latents' dtype."""
        timesteps = self._pipeline.scheduler.config.num_train_timesteps
        return (sigma * timesteps).to(self.latent_dtype) / timesteps

    def _one_size(self, sources: Sequence[Image.Image]) -> tuple[int, int]:
        """(width, height) of all sources; PictureSizeError where they differ or are under one token."""
        sizes = sorted({source.size for source in sources})
        if len(sizes) != 1:
            listed = ", ".join(f"{width}×{height}" for width, height in sizes)
            raise PictureSizeError(f"sources of one batch must have one size, got {listed or 'no source'}")
        token = self._pipeline.vae_scale_factor * 2
        if min(sizes[0]) < token:
            raise PictureSizeError(
                f"a source must be at least {token}×{token}, got {sizes[0][0]}×{sizes[0][1]}"
            )
        return sizes[0]
