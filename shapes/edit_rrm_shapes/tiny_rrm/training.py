"""One training stage of the tiny model: plain PyTorch, Muon and AdamW, resumable, logged.

Departs from the paper: SFT loss is weighted by token role (batches.py), because 4 million parameters
learn the verdict's tokens late otherwise, and the gold traces come from the shapes world.
"""

import math
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from edit_rrm.run_log import RunLog
from edit_rrm_shapes.tiny_rrm.batches import GROUP, Batch, StepBatches
from edit_rrm_shapes.tiny_rrm.muon import Muon, MuonWithAdamW
from edit_rrm_shapes.tiny_rrm.tasks import Task
from edit_rrm_training.runs.cpu_bfloat16 import compile_layers, fast_on_cpu, keep_slow_operations_in_float32
from edit_rrm_training.runs.equal_images import batch_vision_attention

BETAS = (0.9, 0.98)
WEIGHT_DECAY = 0.05
CLIP_NORM = 1.0
MUON_SCALE = 3.0
"""Muon's learning rate over AdamW's."""


class StepBatch(Protocol):
    """What a step's batch must say of itself; its length is its number of samples."""

    @property
    def task(self) -> str: ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> Self: ...


B = TypeVar("B", bound=StepBatch)


@dataclass(frozen=True)
class Stage:
    """A stage's recipe. The learning rate warms up, stays, and decays linearly to 0 at the end."""

    name: str
    mix: Mapping[Task, float]
    """Shares of the tasks; empty for the stage that only looks (looking.py)."""
    steps: int
    seed: int
    batch_size: int = 32
    lr: float = 1e-3
    warmup_steps: int = 100
    decay_share: float = 0.3

    def lr_at(self, step: int) -> float:
        """The learning rate of the step with index `step`, from 0."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        decay_steps = max(1, math.ceil(self.steps * self.decay_share))
        return self.lr * warm * min(1.0, (self.steps - step) / decay_steps)


@dataclass(frozen=True)
class StepReport:
    """What one step did; losses per completion token."""

    step: int
    task: str
    loss: float
    lr: float
    grad_norm: float
    samples_per_s: float
    elapsed_s: float


def completion_loss(model: Qwen2_5_VLForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """Weighted mean cross-entropy of the completions' tokens, a scalar in nats a token."""
    hidden = model.model(
        input_ids=batch.input_ids,
        pixel_values=batch.pixel_values,
        image_grid_thw=batch.image_grid_thw,
        mm_token_type_ids=batch.mm_token_type_ids,
        position_ids=batch.position_ids,
        use_cache=False,
    ).last_hidden_state  # [batch, tokens, hidden]
    weights = batch.loss_weights[:, 1:]
    wanted = weights > 0
    logits = model.lm_head(hidden[:, :-1][wanted])  # [completion tokens, vocabulary]
    losses = functional.cross_entropy(logits.float(), batch.input_ids[:, 1:][wanted], reduction="none")
    return (losses * weights[wanted]).sum() / weights.sum()


OnStep = Callable[[StepReport], None]


def ignore(report: StepReport) -> None:
    """No report of steps."""


def make_optimizers(module: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside, AdamW for embeddings, heads and vectors; 0 is their learning rate."""
    inner: list[torch.nn.Parameter] = []
    outer: list[torch.nn.Parameter] = []
    for name, parameter in module.named_parameters():
        at_the_edge = any(part in name for part in ("embed_tokens", "lm_head", "heads."))
        (inner if parameter.ndim == 2 and not at_the_edge else outer).append(parameter)
    return [
        Muon(inner, lr=0.0, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(outer, lr=0.0, betas=BETAS, weight_decay=0.0, fused=True),
    ]


def muon_with_adamw(module: torch.nn.Module, *, lr: float, weight_decay: float) -> MuonWithAdamW:
    """Both as one optimiser, each with its learning rate, for a trainer that takes one: the entry point
    `edit_rrm_training.optimizers` of the name `muon`."""
    muon, adamw = make_optimizers(module)
    for optimizer, scale in ((muon, MUON_SCALE), (adamw, 1.0)):
        for group in optimizer.param_groups:
            group["lr"] = lr * scale
    for group in muon.param_groups:
        group["weight_decay"] = weight_decay
    return MuonWithAdamW(muon, adamw)


def _save(
    path: Path,
    step: int,
    elapsed_s: float,
    module: torch.nn.Module,
    optimizers: list[torch.optim.Optimizer],
) -> None:
    """Writes the checkpoint beside its place and moves it there, so that a kill leaves the old one whole."""
    partial = path.with_suffix(".partial")
    state = {
        "step": step,
        "elapsed_s": elapsed_s,
        "model": module.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    torch.save(state, partial)
    partial.replace(path)


class _Groups(Dataset[list[B]]):  # type: ignore[misc]  # torch is Any here
    """GROUP steps an item: what one worker draws at once."""

    def __init__(self, batches: Dataset[B], steps: Sequence[range]) -> None:
        self._batches, self._steps = batches, steps

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, item: int) -> list[B]:
        return [self._batches[step] for step in self._steps[item]]


def _batches(batches: Dataset[B], start: int, end: int, workers: int) -> Iterator[B]:
    """The batches of the steps in order, each group of steps drawn by one of the workers."""
    if workers:  # which hand over tensors by file descriptors, some hundred a worker
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    bounds = [start, *range((start // GROUP + 1) * GROUP, end, GROUP), end]
    loader: DataLoader[list[B]] = DataLoader(
        _Groups(batches, [range(*each) for each in pairwise(bounds)]), batch_size=None, num_workers=workers
    )
    for group in loader:
        yield from group


def run_steps(
    stage: Stage,
    module: torch.nn.Module,
    batches: Dataset[B],
    loss_of: Callable[[B], torch.Tensor],
    directory: Path,
    *,
    checkpoint_every: int = 200,
    stop_after: int | None = None,
    workers: int = 1,
    on_step: OnStep = ignore,
) -> float:
    """Trains `module` in place on `batches`, one a step; returns the seconds over all runs of the stage.

    Continues from `directory/<name>.ckpt` when there is one; a finished stage returns at once.
    `stop_after` ends this run early, after that many steps of the stage, leaving a checkpoint.
    """
    directory.mkdir(parents=True, exist_ok=True)
    checkpoint = directory / f"{stage.name}.ckpt"
    module.train()
    device = next(module.parameters()).device
    optimizers = make_optimizers(module)
    start, before_s = 0, 0.0
    if checkpoint.exists():
        state: dict[str, Any] = torch.load(checkpoint, weights_only=True, map_location="cpu")
        module.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        start, before_s = state["step"], state["elapsed_s"]
    end = min(stage.steps, stop_after or stage.steps)
    if start >= end:
        return before_s
    board = SummaryWriter(str(directory / "tensorboard" / stage.name), purge_step=start)
    log = RunLog(directory / f"{stage.name}.jsonl", last=start - 1)
    begun = last = time.perf_counter()
    try:
        drawn: Iterator[B] = _batches(batches, start, end, workers)
        for step, batch in enumerate(drawn, start=start):
            lr = stage.lr_at(step)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = lr * (MUON_SCALE if isinstance(optimizer, Muon) else 1.0)
            loss = loss_of(batch.to(device))
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP_NORM)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            now = time.perf_counter()
            report = StepReport(
                step, str(batch.task), loss.item(), lr, float(norm),
                len(batch) / (now - last), before_s + now - begun,
            )  # fmt: skip
            last = now
            log.line(asdict(report))
            board.add_scalar(f"loss/{report.task}", report.loss, step)
            board.add_scalar("lr", lr, step)
            on_step(report)
            if (step + 1) % checkpoint_every == 0 or step + 1 == end:
                _save(checkpoint, step + 1, report.elapsed_s, module, optimizers)
    finally:
        log.close()
        board.close()
    return before_s + time.perf_counter() - begun


def prepare_fast(model: Qwen2_5_VLForConditionalGeneration) -> None:
    """Compiles the layers, and keeps in float32 what bfloat16 slows down."""
    keep_slow_operations_in_float32(model)
    compile_layers(model)


def run_stage(
    stage: Stage,
    model: Qwen2_5_VLForConditionalGeneration,
    processor: Qwen2_5_VLProcessor,
    directory: Path,
    *,
    fast: bool = False,
    stop_after: int | None = None,
    workers: int = 1,
    on_step: OnStep = ignore,
) -> float:
    """Trains `model` in place on completions through the stage, as `run_steps` does.

    `fast`: for a model that `prepare_fast` was called with, and in bfloat16 where the CPU has it.
    """
    batch_vision_attention(model)
    batches = StepBatches(processor, stage.mix, stage.seed, stage.batch_size, stage.steps)

    def loss_of(batch: Batch) -> torch.Tensor:
        with fast_on_cpu(fast):
            return completion_loss(model, batch)

    return run_steps(
        stage, model, batches, loss_of, directory,
        stop_after=stop_after, workers=workers, on_step=on_step,
    )  # fmt: skip
