"""Running averages of trained weights: the EMA that is saved, and DiffusionNFT's sampling policy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class MovingAverage:
    """Float32 copies of parameters that follow them: average ← decay · average + (1 − decay) · parameter."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self.tensors = [parameter.detach().float().clone() for parameter in self._parameters]

    def follow(self, decay: float) -> None:
        """One step towards the parameters; decay 0 copies them."""
        for average, parameter in zip(self.tensors, self._parameters, strict=True):
            average.lerp_(parameter.detach().float(), 1.0 - decay)

    def load(self, tensors: Sequence[torch.Tensor]) -> None:
        """Takes over a saved average."""
        for average, saved in zip(self.tensors, tensors, strict=True):
            average.copy_(saved)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the parameters hold the average; afterwards what they held before, bit for bit."""
        held = [parameter.detach().clone() for parameter in self._parameters]
        self._put(self.tensors)
        try:
            yield
        finally:
            self._put(held)

    def _put(self, tensors: Sequence[torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter, tensor in zip(self._parameters, tensors, strict=True):
                parameter.copy_(tensor)
