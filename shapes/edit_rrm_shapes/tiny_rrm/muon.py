"""Muon for the tiny model: momentum whose every matrix is replaced by its nearest orthogonal one.

K. Jordan's Newton–Schulz iteration with the step size of Moonlight (0.2·√max(rows, columns), so that an
update has the size an AdamW step would have). `torch.optim.Muon` is the same rule but iterates in
bfloat16, which takes twice as long as float32 on these CPUs (docs/notes/the-tiny-model.md).
"""

from collections.abc import Iterable
from typing import Any

import torch

_A, _B, _C = 3.4445, -4.7750, 2.0315  # steepest at 0: singular values end between 0.7 and 1.2
_ITERATIONS = 5


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """U·Vᵀ of the singular value decomposition of a [rows, columns] matrix, approximately."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Muon(torch.optim.Optimizer):  # type: ignore[misc]  # torch is Any here
    """Nesterov momentum, orthogonalised, with decoupled weight decay. For matrices only."""

    def __init__(
        self, matrices: Iterable[torch.Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.05
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        if any(p.ndim != 2 for group in self.param_groups for p in group["params"]):
            raise ValueError("Muon updates matrices; give vectors and tensors to AdamW")

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is Any here
    def step(self, closure: Any = None) -> None:
        """One update; parameters without a gradient are left alone."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                direction = p.grad.lerp(state["momentum"], group["momentum"])
                size = 0.2 * max(p.shape) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(orthogonalised(direction), alpha=-group["lr"] * size)


class MuonWithAdamW(torch.optim.Optimizer):  # type: ignore[misc]  # torch is Any here
    """Two optimisers that a trainer takes for one: their groups side by side, their states apart."""

    def __init__(self, muon: Muon, adamw: torch.optim.AdamW) -> None:
        self._parts = {"muon": muon, "adamw": adamw}
        super().__init__([*muon.param_groups, *adamw.param_groups], {})  # the very groups, not copies

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is Any here
    def step(self, closure: Any = None) -> None:
        """One update of both."""
        for part in self._parts.values():
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Both states by name."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads what `state_dict` gave; torch makes new groups then, which are taken over here."""
        for name, part in self._parts.items():
            part.load_state_dict(state_dict[name])
        self.param_groups = [group for part in self._parts.values() for group in part.param_groups]
