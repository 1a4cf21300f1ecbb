"""An editor small enough to work out by hand: a 1×1 convolution on 8×8 pictures, trained whole."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from edit_grpo.policies.pictures import finite_pictures
from edit_grpo.policies.policy import Condition

SIDE = 8


class LinearEditor:
    """v = W [x, source, σ] + b in each pixel; an implementation of `EditPolicy`."""

    def __init__(self, seed: int = 0, latent_dtype: torch.dtype = torch.float32) -> None:
        self.module: torch.nn.Module = torch.nn.Linear(7, 3)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
            self.module.weight[:, :3] += torch.eye(3)
        self._reference = copy.deepcopy(self.module)
        self._active = self.module
        self.device = torch.device("cpu")
        self.latent_dtype = latent_dtype
        self.max_sources, self.canvas = 1, 0
        self.encoded: list[tuple[Image.Image, ...]] = []
        """The sources of every edit that was encoded."""
        self.released = 0
        self.rows: list[int] = []
        """How many rows each call of `velocity` had."""

    def prepare(self, source: Image.Image) -> Image.Image:
        return source

    def encode(self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]) -> Condition:
        self.encoded += [tuple(row) for row in sources]
        pixels = [
            np.asarray(row[self.canvas].convert("RGB").resize((SIDE, SIDE)), dtype=np.float32)
            for row in sources
        ]
        return Condition({"source": torch.tensor(np.stack(pixels)).permute(0, 3, 1, 2) / 127.5 - 1.0})

    def release_encoders(self) -> None:
        self.released += 1

    def noise(self, condition: Condition, generator: torch.Generator) -> torch.Tensor:
        return torch.randn((len(condition), 3, SIDE, SIDE), generator=generator).to(self.latent_dtype)

    def sigmas(self, steps: int, condition: Condition) -> list[float]:
        return [1.0 - step / steps for step in range(steps)] + [0.0]

    def velocity(self, latents: torch.Tensor, sigma: torch.Tensor, condition: Condition) -> torch.Tensor:
        self.rows.append(len(latents))
        level = sigma.reshape(-1, 1, 1, 1).expand(-1, 1, SIDE, SIDE)
        features = torch.cat([latents.float(), condition.tensors["source"], level], dim=1)
        found: torch.Tensor = self._active(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return found.to(self.latent_dtype)

    def decode(self, latents: torch.Tensor) -> list[Image.Image | None]:
        return finite_pictures(latents.float(), _pictures)

    @contextmanager
    def reference(self) -> Iterator[None]:
        self._active = self._reference
        try:
            yield
        finally:
            self._active = self.module

    def trainable(self) -> list[torch.nn.Parameter]:
        return list(self.module.parameters())

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        save_file(dict(self.module.state_dict()), str(directory / "linear.safetensors"))


def _pictures(pixels: torch.Tensor, output_type: str) -> list[Image.Image]:
    assert output_type == "pil"
    levels = ((pixels + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in levels]


def weights_of(policy: LinearEditor) -> list[Any]:
    """All weights as lists: equal only if equal bit for bit."""
    return [parameter.detach().tolist() for parameter in policy.trainable()]
