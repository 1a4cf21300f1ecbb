"""From scored groups to changed weights: gradient accumulation, clipping, one optimiser step a minibatch.

Gradients are summed over processes once an optimiser step, by accelerate, in place of wrapping the module:
processes may then hold different numbers of usable groups, and adapters can be switched off for the
reference. So every process needs the whole model; FSDP and DeepSpeed are not for this trainer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator

from edit_grpo.algorithms.algorithm import Algorithm, Group
from edit_grpo.algorithms.grpo import GroupAdvantages
from edit_grpo.errors import DivergedError, SettingsError
from edit_grpo.run.records import Watched
from edit_grpo.run.settings import OptimizerSettings


@dataclass(frozen=True)
class ScoredGroup:
    """A group that is ready to be learned from; one that was skipped has no usable candidate.

    `group` is None where its edit could not be carried out.
    """

    group: Group | None
    advantages: GroupAdvantages

    @property
    def terms(self) -> int:
        """Of the loss: usable candidates times points."""
        return 0 if self.group is None else int(self.advantages.usable.sum()) * len(self.group.points)


@dataclass(frozen=True)
class UpdateStats:
    """What the optimiser did: the mean gradient norm before clipping, None without a step."""

    grad_norm: float | None
    watched: Watched


def lr_at(update: int, updates: int, settings: OptimizerSettings) -> float:
    """The learning rate of update number `update`, from 0, of `updates`."""
    if update < settings.warmup_updates:
        return settings.lr * (update + 1) / settings.warmup_updates
    if settings.schedule == "constant":
        return settings.lr
    done = (update - settings.warmup_updates) / max(1, updates - settings.warmup_updates)
    return settings.lr * 0.5 * (1.0 + math.cos(math.pi * done))


class Updater:
    """Holds the optimiser and applies updates.

    Raises SettingsError for weights of 16 bits, in which an update of 1e-6 is lost: there are no float32
    masters.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        parameters: Sequence[torch.nn.Parameter],
        algorithm: Algorithm,
        settings: OptimizerSettings,
        micro_batch: int,
    ) -> None:
        self._accelerator, self._parameters, self._algorithm = accelerator, list(parameters), algorithm
        short = sum(each.dtype in (torch.bfloat16, torch.float16) for each in self._parameters)
        if short:
            raise SettingsError(
                f"{short} weights to train have 16 bits and no float32 masters: set policy.lora, whose "
                "adapters are float32, or policy.dtype to float32"
            )
        self._settings, self._micro_batch = settings, micro_batch
        self.optimizer = torch.optim.AdamW(
            self._parameters, lr=settings.lr, weight_decay=settings.weight_decay
        )

    def apply(self, groups: Sequence[ScoredGroup], update: int, updates: int) -> UpdateStats:
        """All inner epochs over this process's groups. Raises DivergedError."""
        for parameter_group in self.optimizer.param_groups:
            parameter_group["lr"] = lr_at(update, updates, self._settings)
        watched, norms = Watched(), []
        size = len(groups) // self._settings.minibatches
        for _ in range(self._settings.inner_epochs):
            for start in range(0, len(groups), size):
                norm = self._step(groups[start : start + size], watched, update)
                if norm is not None:
                    norms.append(norm)
        return UpdateStats(sum(norms) / len(norms) if norms else None, watched)

    def _step(self, groups: Sequence[ScoredGroup], watched: Watched, update: int) -> float | None:
        """One optimiser step on some groups; None where no process has a usable candidate."""
        terms = sum(each.terms for each in groups)
        total = int(self._summed(torch.tensor([float(terms)], device=self._accelerator.device)).item())
        if total == 0:
            return None
        self.optimizer.zero_grad(set_to_none=True)
        for each in groups:
            if each.group is not None:
                self._accumulate(each.group, each.advantages, total, watched)
        self._sum_gradients()
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, self._settings.max_grad_norm))
        if not math.isfinite(norm):
            raise DivergedError(
                f"update {update + 1}: the gradient's norm is {norm}; try a smaller optimizer.lr"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def _accumulate(self, group: Group, learned: GroupAdvantages, total: int, watched: Watched) -> None:
        """Adds a group's gradient: the sum over its usable candidates and points, divided by `total`."""
        for point in group.points:
            for rows in learned.usable.nonzero().flatten().split(self._micro_batch):
                if len(rows) == 0:  # the one part of none
                    continue
                device = self._accelerator.device
                advantages = learned.advantages[rows].to(device)
                found = self._algorithm.loss(group, point, rows.to(device), advantages)
                (found.loss * (len(rows) / total)).backward()
                watched.count += len(rows)
                for name, values in found.watched.items():
                    watched.sums[name] += float(values.sum())
                if "ratio" in found.watched:
                    off = float((found.watched["ratio"] - 1.0).abs().max())
                    watched.largest["ratio"] = max(watched.largest["ratio"], off)

    def _sum_gradients(self) -> None:
        """Sums the gradients over processes, in one message; a process without any adds zeros."""
        if self._accelerator.num_processes == 1:
            return
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        together = self._summed(torch.cat([gradient.float().flatten() for gradient in gradients]))
        for gradient, part in zip(
            gradients, together.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def _summed(self, tensor: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = self._accelerator.reduce(tensor, reduction="sum")
        return summed
