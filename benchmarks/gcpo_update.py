"""What does an update of GCPO cost when prompts are read once an image, and zero advantages left out?

    .venv/bin/python benchmarks/gcpo_update.py [--pairs 8] [--traces 4] [--repetitions 3] [--compiled]

One rollout of real traces on pairs of the shapes world; then its gradient, forward and backward through all
its batches, three ways that take turns: as TRL has it, without the traces that have no advantage
(`gcpo.update.zero_advantage`), and with the prompts shared as well (`gcpo.update.shared_prompts`). Printed of
each: median seconds, its share of TRL's in the same turn, and how far its gradient is from TRL's, relative to
its norm. Training is of adapters as in `edit-rrm-shapes reproduce-rrm`, in float32. Bar: both together take
at most 0.6 of TRL's time.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from rig.gcpo import roll_out, shapes_pairs, trainer_of
from rig.report import Bar, console, progress, say_machine
from trl import GRPOTrainer

from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.runs.checkpoints import lora_config
from edit_rrm_training.runs.settings import GcpoConfig, RrmLora

BAR = Bar("update with both, share of TRL's time, median", 0.6, at_least=False)
TRL, FEWER, BOTH = "as TRL has it", "with an advantage", "with an advantage, prompts shared"

Loss = Callable[[Any], torch.Tensor]


def ways(trainer: GcpoTrainer) -> Mapping[str, Loss]:
    """The loss of one batch, each way."""

    def plain(batch: Any) -> torch.Tensor:
        trainer._share_prompts = False
        return GRPOTrainer._compute_loss(trainer, trainer.model, batch)

    def ours(share: bool) -> Loss:
        def loss(batch: Any) -> torch.Tensor:
            trainer._share_prompts = share
            return trainer._compute_loss(trainer.model, batch)

        return loss

    return {TRL: plain, FEWER: ours(False), BOTH: ours(True)}


def gradient_of(trainer: GcpoTrainer, loss: Loss, batches: list[Any]) -> tuple[float, torch.Tensor]:
    """Seconds, and the gradient of all batches as one vector."""
    trainer.model.zero_grad()
    started = time.perf_counter()
    for batch in batches:
        loss(batch).backward()
    took_s = time.perf_counter() - started
    found = [weight.grad.flatten() for weight in trainer.model.parameters() if weight.grad is not None]
    return took_s, torch.cat(found)


def main(
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of the rollout.")] = 8,
    traces: Annotated[int, typer.Option(min=2, help="N, traces an image.")] = 4,
    batch: Annotated[int, typer.Option(min=2, help="Traces of one pass; a multiple of N.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="Turns measured, after one that is not.")] = 3,
    compiled: Annotated[bool, typer.Option(help="Compile the layers.")] = False,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """See the module."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as out:
        config = GcpoConfig(
            base=model, out=Path(out), pairs=Path(out) / "unused", steps=1, traces=traces,
            pairs_per_step=pairs, batch_per_device=batch, max_trace_tokens=256, share_prompts=True,
            lora=RrmLora(rank=16, alpha=32), dtype="float32", compile_layers=compiled,
            gradient_checkpointing=False, equal_images=True,
        )  # fmt: skip
        trainer, rows = trainer_of(config, shapes_pairs(pairs), peft_config=lora_config(config))
        trainer.model.train()
        for name, weight in trainer.model.named_parameters():
            if "lora_B" in name:  # 0 at first, which leaves lora_A without a gradient to compare
                torch.nn.init.normal_(weight, std=0.01)
        trainer.current_gradient_accumulation_steps = count = config.accumulation(1)
        torch.manual_seed(0)
        batches = roll_out(trainer, [rows[index] for index in range(len(rows)) for _ in range(traces)], count)
        zero = torch.cat([batch["advantages"] for batch in batches]).eq(0).float().mean().item()
        seconds: dict[str, list[float]] = {TRL: [], FEWER: [], BOTH: []}
        away = dict.fromkeys(seconds, 0.0)
        for turn in range(repetitions + 1):
            of_trl = torch.zeros(())
            for name, loss in ways(trainer).items():
                took_s, gradient = gradient_of(trainer, loss, batches)
                of_trl = gradient if name == TRL else of_trl
                away[name] = max(away[name], ((gradient - of_trl).norm() / of_trl.norm()).item())
                if turn:
                    seconds[name].append(took_s)
                progress.print(f"turn {turn}: {name}: {took_s:.2f} s")
    prompt, trace = (batches[0][name].shape[1] for name in ("prompt_ids", "completion_ids"))
    table = Table(
        "update", "median s", "of TRL's", "gradient away by",
        title=f"{pairs} pairs of 2 × {traces} traces, prompts of {prompt} tokens, traces of at most {trace}, "
        f"{zero:.0%} without advantage",
    )  # fmt: skip
    shares = {
        name: statistics.median(mine / trls for mine, trls in zip(taken, seconds[TRL], strict=True))
        for name, taken in seconds.items()
    }
    for name, taken in seconds.items():
        table.add_row(name, f"{statistics.median(taken):.2f}", f"{shares[name]:.2f}", f"{away[name]:.1e}")
    console.print(table)
    BAR.judge(shares[BOTH])
    say_machine()


if __name__ == "__main__":
    typer.run(main)
