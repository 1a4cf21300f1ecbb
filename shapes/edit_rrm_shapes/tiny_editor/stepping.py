"""One stage's optimiser steps: AdamW, averaged weights, a log, a state from which it goes on to the bit."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers.training_utils import EMAModel
from torch.utils.tensorboard import SummaryWriter

from edit_rrm.run_log import RunLog
from edit_rrm_shapes.tiny_editor.checkpoints import RunState, load_state, save_state
from edit_rrm_shapes.tiny_editor.settings import StageSettings

BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class StepReport:
    """What one step did; `elapsed_s` counts all runs in the folder."""

    stage: str
    step: int
    loss: float
    lr: float
    grad_norm: float
    step_s: float
    elapsed_s: float


OnStep = Callable[[StepReport], bool]
"""False ends the piece."""


class Stage:
    """Steps on some modules, in `directory`: `<name>.jsonl`, `<name>.pt` and tensorboard/<name>."""

    def __init__(
        self,
        name: str,
        modules: Sequence[torch.nn.Module],
        loss: Callable[[int], torch.Tensor],
        settings: StageSettings,
        directory: Path,
        data_digest: str,
    ) -> None:
        self.name, self.modules, self.settings = name, list(modules), settings
        self._loss, self._directory, self._data_digest = loss, directory, data_digest
        self._parameters = [each for module in modules for each in module.parameters()]
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=0.0, betas=BETAS, weight_decay=settings.weight_decay, fused=True
        )
        self._average = EMAModel(self._parameters, decay=settings.ema_decay, foreach=True)
        self.step, self._elapsed_s = 0, 0.0
        state = load_state(directory, name, data_digest)
        if state is not None:
            self._restore(state)

    @property
    def done(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.settings.steps

    def run(self, end: int, on_step: OnStep, after_step: Callable[[bool], None] = lambda last: None) -> bool:
        """Goes on to the step `end`, or until told; whether it came that far.

        `after_step` is told whether the step was the last one of this piece.
        """
        board = SummaryWriter(str(self._directory / "tensorboard" / self.name), purge_step=self.step)
        log = RunLog(self._directory / f"{self.name}.jsonl", last=self.step - 1)
        told_to_end = False
        try:
            while self.step < end and not told_to_end:
                report = self._one_step()
                log.line(asdict(report))
                for name in ("loss", "lr", "grad_norm", "step_s"):
                    board.add_scalar(name, getattr(report, name), report.step)
                told_to_end = not on_step(report)
                last = told_to_end or self.step == end
                after_step(last)
                if last or self.step % self.settings.checkpoint_every == 0:
                    save_state(self._directory, self.name, self._state())
        finally:
            log.close()
            board.close()
        return not told_to_end

    def copy_average_to(self, modules: Sequence[torch.nn.Module]) -> None:
        """Gives modules like this stage's the averaged weights."""
        self._average.copy_to([each for module in modules for each in module.parameters()])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the modules have the averaged weights."""
        self._average.store(self._parameters)
        self._average.copy_to(self._parameters)
        try:
            yield
        finally:
            self._average.restore(self._parameters)

    def _one_step(self) -> StepReport:
        begun = time.perf_counter()
        step, lr = self.step, self.settings.lr_at(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        loss = self._loss(step)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._average.step(self._parameters)
        self.step += 1
        taken = time.perf_counter() - begun
        self._elapsed_s += taken
        return StepReport(self.name, step, loss.item(), lr, float(norm), taken, self._elapsed_s)

    def _state(self) -> RunState:
        return RunState(
            self._data_digest, self.step, self._elapsed_s, [module.state_dict() for module in self.modules],
            self._optimizer.state_dict(), self._average.state_dict(),
        )  # fmt: skip

    def _restore(self, state: RunState) -> None:
        for module, weights in zip(self.modules, state.weights, strict=True):
            module.load_state_dict(weights)
        self._optimizer.load_state_dict(state.optimizer)
        self._average.load_state_dict(state.average)
        self._average.to(self._parameters[0].device)
        self.step, self._elapsed_s = state.step, state.elapsed_s
