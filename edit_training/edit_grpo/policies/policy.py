"""What the trainer knows of an editor: it encodes a condition, predicts velocities, decodes.

The trainer knows nothing of pipelines, VAEs and text encoders, and a policy nothing of rewards and
algorithms. Rollout and training call the same `velocity`, so that on policy the ratio is exactly 1.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image

from edit_grpo.policies.errors import SourceCountError


@dataclass(frozen=True)
class Condition:
    """What velocities depend on besides latents and σ: encoded sources and instructions.

    Every tensor has the batch first; a policy chooses the names.
    """

    tensors: dict[str, torch.Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def repeat(self, count: int) -> "Condition":
        """Each element `count` times in a row: the candidates of a group share their condition."""
        return Condition({name: each.repeat_interleave(count, dim=0) for name, each in self.tensors.items()})

    def select(self, rows: torch.Tensor | slice) -> "Condition":
        """Some of the batch: indices [n], a mask [batch] or a slice."""
        return Condition({name: each[rows] for name, each in self.tensors.items()})

    @property
    def size_bytes(self) -> int:
        """The memory of all tensors."""
        return sum(each.nbytes for each in self.tensors.values())

    def to(self, device: torch.device | str) -> "Condition":
        """The same tensors on a device."""
        return Condition({name: each.to(device) for name, each in self.tensors.items()})


def check_source_count(max_sources: int, count: int, whose: str = "an edit") -> None:
    """Raises SourceCountError for an edit with no source, or more than a policy takes."""
    if not 1 <= count <= max_sources:
        takes = "one source" if max_sources == 1 else f"1 to {max_sources} sources"
        raise SourceCountError(f"this editor takes {takes}, and {whose} has {count}")


class EditPolicy(Protocol):
    """An image editor that can be trained: x_σ = (1 − σ) x_0 + σ x_1, v = x_1 − x_0 (see `sde`)."""

    @property
    def module(self) -> torch.nn.Module:
        """What is trained (adapters or all weights); what accelerate wraps."""
        ...

    @module.setter
    def module(self, wrapped: torch.nn.Module) -> None: ...

    @property
    def device(self) -> torch.device:
        """Where latents and conditions live."""
        ...

    @property
    def latent_dtype(self) -> torch.dtype:
        """In which a trajectory is stored."""
        ...

    @property
    def max_sources(self) -> int:
        """How many sources an edit may have."""
        ...

    @property
    def canvas(self) -> int:
        """Which of an edit's sources has the size of the edited picture: 0, the first, or -1, the last."""
        ...

    def prepare(self, source: Image.Image) -> Image.Image:
        """The source in the size in which `encode` encodes it; of the canvas, that of what `decode` gives.

        It is what a judge is shown: the editor saw no other. Prepared once more it is the same.
        """
        ...

    def encode(self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]) -> Condition:
        """Sources and instructions of a batch, the sources of an edit in order; without gradient.

        The first sources of all edits have one size, and so have the second ones. Raises SourceCountError,
        PictureSizeError.
        """
        ...

    def release_encoders(self) -> None:
        """Nothing is to be encoded for a while: what only `encode` needs may leave the device until then."""
        ...

    def noise(self, condition: Condition, generator: torch.Generator) -> torch.Tensor:
        """x_1 ~ N(0, 1) for each row of the condition: [batch, ...] in `latent_dtype`.

        Drawn on the generator's device (the CPU, for the same noise on any machine), then moved.
        """
        ...

    def sigmas(self, steps: int, condition: Condition) -> list[float]:
        """The schedule from pure noise to data: steps + 1 values, falling, the last one 0."""
        ...

    def velocity(
        self,
        latents: torch.Tensor,  # [batch, ...] as `noise` gives them
        sigma: torch.Tensor,  # [batch] float32
        condition: Condition,
    ) -> torch.Tensor:  # [batch, ...] like latents
        """v at (x_σ, σ), with gradient unless the caller disables it."""
        ...

    def decode(self, latents: torch.Tensor) -> Sequence[Image.Image | None]:
        """x_0 as RGB pictures, None for one that is not finite; without gradient."""
        ...

    def reference(self) -> AbstractContextManager[None]:
        """Within it `velocity` is the reference policy's: adapters off, or the weights at the start."""
        ...

    def trainable(self) -> list[torch.nn.Parameter]:
        """The parameters an optimiser may change."""
        ...

    def save(self, directory: Path) -> None:
        """Writes what was trained: adapters in PEFT's layout, or a whole checkpoint that loads again."""
        ...
