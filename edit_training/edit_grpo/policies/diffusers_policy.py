"""What editors of diffusers have in common: a pipeline of frozen parts around one trained transformer.

A subclass says how its pipeline sizes and encodes, what its transformer is called with and how it decodes.
Latents are kept unpacked, [batch, channels, height, width], and packed into tokens only for the transformer.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.pipelines.flux.pipeline_flux_kontext import calculate_shift, retrieve_timesteps
from PIL import Image

from edit_grpo.policies.errors import SourceCountError
from edit_grpo.policies.lora_layers import LoraLayers
from edit_grpo.policies.pictures import finite_pictures, one_size
from edit_grpo.policies.policy import Condition, check_source_count
from edit_grpo.policies.settings import PolicySettings
from edit_grpo.policies.trained_transformer import TrainedTransformer

SOURCE = "source_latents"  # [batch, channels, height, width], the condition's name for the first source
NEGATIVE = "negative_"
"""Before the names of what a negative prompt's pass has in place of the instruction's."""


def source_name(number: int) -> str:
    """The condition's name for a source's latents; the first is number 1."""
    return SOURCE if number == 1 else f"{SOURCE}_{number}"


def source_latents(condition: Condition) -> list[torch.Tensor]:
    """The latents of each source, in order: [batch, channels, height, width], of sizes of their own."""
    count = sum(name.startswith(SOURCE) for name in condition.tensors)
    return [condition.tensors[source_name(number)] for number in range(1, count + 1)]


class DiffusersPolicy:
    """The parts of EditPolicy that do not depend on the model's family."""

    TEXT_ENCODERS: ClassVar[tuple[str, ...]] = ("text_encoder",)
    """The pipeline's parts that read instructions: only `encode` needs them."""
    RESTING_PLACE: ClassVar[torch.device] = torch.device("cpu")
    """Where they are while nothing is encoded."""
    LORA_LAYERS: ClassVar[LoraLayers]
    NEGATIVE_PROMPT: ClassVar[str] = ""
    """What its pipeline is meant to be guided away from, where it takes such a prompt."""
    max_sources: int = 1
    canvas: int = 0

    def __init__(self, pipeline: Any, settings: PolicySettings, *, keep_reference: bool = True) -> None:
        self._pipeline = pipeline
        self._settings = settings
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.eval().requires_grad_(False)
        self._trained = TrainedTransformer(
            pipeline.transformer, settings, self.LORA_LAYERS, keep_reference=keep_reference
        )

    @property
    def pipeline(self) -> Any:
        """The diffusers pipeline whose parts these are."""
        return self._pipeline

    def prepare(self, source: Image.Image) -> Image.Image:
        """The source as the pipeline itself resizes it; itself where that is its size. See EditPolicy."""
        width, height = self.target_size(*one_size([source], self._token_side))
        if (width, height) == source.size:
            return source
        resized: Image.Image = self._pipeline.image_processor.resize(source, height, width)
        return resized

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is Any here
    def encode(self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]) -> Condition:
        """Source latents, and what the text encoders make of the instructions. See EditPolicy."""
        rows = self._prepared(sources)
        latents = {
            source_name(number): self.encode_pictures(place)
            for number, place in enumerate(zip(*rows, strict=True), start=1)
        }
        self._move_encoders(self.device)
        return Condition({**latents, **self.encode_texts(rows, instructions)})

    def release_encoders(self) -> None:
        """The text encoders leave the device, unless the settings have them stay."""
        if self._settings.text_encoders == "leave":
            self._move_encoders(self.RESTING_PLACE)

    def _move_encoders(self, device: torch.device) -> None:
        for name in self.TEXT_ENCODERS:
            getattr(self._pipeline, name).to(device)

    def encode_pictures(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """The latents of pictures of one size: [batch, channels, height, width]."""
        width, height = self.target_size(*one_size(pictures, self._token_side))
        return self.encode_pixels(self._pipeline.image_processor.preprocess(list(pictures), height, width))

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """The latents of pixels in −1 to 1, [batch, 3, height, width]: [batch, channels, height, width]."""
        raise NotImplementedError

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) at which such a source is encoded; of such a size, that size."""
        raise NotImplementedError

    def encode_texts(
        self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        """The condition's tensors that come from instructions; `sources` are prepared, a row an edit."""
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
        shape = source_latents(condition)[self.canvas].shape
        drawn = torch.randn(shape, generator=generator, device=generator.device, dtype=self.latent_dtype)
        return drawn.to(self.device)

    def sigmas(self, steps: int, condition: Condition) -> list[float]:
        """The scheduler's schedule, shifted for this number of tokens as the pipeline does."""
        scheduler = self._pipeline.scheduler
        rows, columns = self._grid(source_latents(condition)[self.canvas])
        even = np.linspace(1.0, 1.0 / steps, steps)
        retrieve_timesteps(scheduler, steps, "cpu", sigmas=even, mu=self._shift(rows * columns, steps))
        values: list[float] = scheduler.sigmas.tolist()
        return values

    def _shift(self, tokens: int, steps: int) -> float:
        """μ of the schedule of a picture of so many tokens."""
        config = self._pipeline.scheduler.config
        mu: float = calculate_shift(
            tokens,
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", 1.15),
        )
        return mu

    def velocity(self, latents: torch.Tensor, sigma: torch.Tensor, condition: Condition) -> torch.Tensor:
        """v at (x_σ, σ), [batch, channels, height, width]; see EditPolicy."""
        raise NotImplementedError

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is Any here
    def decode(self, latents: torch.Tensor) -> list[Image.Image | None]:
        """x_0 as RGB pictures, None for one that is not finite."""
        return finite_pictures(self.decode_pixels(latents), self._pipeline.image_processor.postprocess)

    def decode_pixels(self, latents: torch.Tensor) -> torch.Tensor:
        """The pixels of latents, mostly in −1 to 1: [batch, 3, height, width]."""
        raise NotImplementedError

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

    def _grid(self, latents: torch.Tensor) -> tuple[int, int]:
        """Rows and columns of the tokens of latents, which are 2×2 patches."""
        height, width = latents.shape[-2:]
        return height // 2, width // 2

    def _pack(self, latents: torch.Tensor) -> torch.Tensor:
        """[batch, channels, height, width] as tokens, [batch, tokens, channels of a token]."""
        packed: torch.Tensor = self._pipeline._pack_latents(latents, *latents.shape)
        return packed

    def _unpack(self, tokens: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Tokens in the layout of `latents`, [batch, channels, height, width]."""
        scale = self._pipeline.vae_scale_factor
        height, width = latents.shape[-2:]
        unpacked = self._pipeline._unpack_latents(tokens, height * scale, width * scale, scale)
        return unpacked.view(latents.shape)

    @property
    def _negative_prompt(self) -> str:
        given = self._settings.negative_prompt
        return self.NEGATIVE_PROMPT if given is None else given

    def _model_time(self, sigma: torch.Tensor) -> torch.Tensor:
        """σ as the pipeline hands it over: by way of a timestep rounded to the latents' dtype."""
        timesteps = self._pipeline.scheduler.config.num_train_timesteps
        return (sigma * timesteps).to(self.latent_dtype) / timesteps

    @property
    def _token_side(self) -> int:
        """Pixels along a token's side."""
        side: int = self._pipeline.vae_scale_factor * 2
        return side

    def _prepared(self, sources: Sequence[Sequence[Image.Image]]) -> list[tuple[Image.Image, ...]]:
        """The sources of each row as they are encoded. Raises SourceCountError, PictureSizeError."""
        counts = sorted({len(row) for row in sources})
        for count in counts:
            check_source_count(self.max_sources, count)
        if len(counts) != 1:
            raise SourceCountError(f"edits of one batch must have one number of sources, got {counts}")
        for place in zip(*sources, strict=True):
            one_size(place, self._token_side)
        return [tuple(self.prepare(source) for source in row) for row in sources]
