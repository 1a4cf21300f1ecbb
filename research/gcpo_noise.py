"""Which tokens of a trace give GCPO's gradient its noise, and how many pairs does it take to hear anything?

    PYTHONPATH=benchmarks .venv/bin/python research/gcpo_noise.py \\
        --base CHECKPOINT --pairs PAIRS.jsonl [--count 24] [--seed 0]

One gradient a pair, of the policy as it stands, split by what a token is: a digit of the score before the
point or after it, the average of the verdicts, what is seen (between ":" and "=>"), the rest. Printed of each
part, over the pairs: its entropy in nats a trace; its share of the sum of squared norms of the whole
gradient, and how much of that is one pair's; and |mean gradient|² / mean |gradient|², without the bias of a
finite sample (0 is noise alone; 1/x says that about x pairs have a gradient as long as their noise). Traces
of format 1 (docs/shapes.md), as the tiny model writes them. No weight is changed.
"""

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from rig.gcpo import roll_out, trainer_of
from rig.report import console, progress, say_machine
from torch import nn

from edit_rrm_training.data.preferences import read_pairs
from edit_rrm_training.data.trl_rows import PairRows
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.runs.settings import GcpoConfig

_SEEN_BY_THE_MODEL = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")


class Part(StrEnum):
    """What a token of a trace is."""

    WHOLE = "score, integer part"
    DECIMAL = "score, decimal"
    AVERAGE = "average"
    SEEN = "seen"
    REST = "rest"


class Sums:
    """Over pairs: the sum of gradients, of their squared norms, and of entropies."""

    def __init__(self, weights: Sequence[nn.Parameter]) -> None:
        self.gradient = [torch.zeros_like(weight) for weight in weights]
        self.squares = 0.0
        self.largest_square = 0.0
        self.entropy_nats = 0.0

    def add(self, gradient: Sequence[torch.Tensor]) -> None:
        """Takes the gradient of one pair."""
        for total, part in zip(self.gradient, gradient, strict=True):
            total += part
        square = sum(float(part.square().sum()) for part in gradient)
        self.squares += square
        self.largest_square = max(self.largest_square, square)

    def signal(self, pairs: int) -> float:
        """|mean|² / mean of |·|², unbiased."""
        of_sum = sum(float(total.square().sum()) for total in self.gradient)
        return (of_sum - self.squares) / (pairs - 1) / self.squares


@dataclass
class Found:
    """What was summed up."""

    parts: Mapping[Part, Sums]
    whole: Sums
    pairs: int = 0
    heard: int = 0
    """Pairs whose advantages were not all 0."""


def parts_of(texts: Sequence[str]) -> list[Part]:
    """The part of each token of a trace, from its tokens' texts."""
    found, part = [], Part.REST
    for text in texts:
        word = text.strip()
        if "=>" in text or "\n" in text or word == "</":
            part = Part.REST
        mark_in_score = part in (Part.WHOLE, Part.DECIMAL) and not word.isdigit()
        found.append(Part.REST if mark_in_score else part)
        if word == ":":
            part = Part.SEEN
        elif word == "average":
            part = Part.AVERAGE
        elif word == "<score":
            part = Part.WHOLE
        elif word == "." and part is Part.WHOLE:
            part = Part.DECIMAL
    return found


def rollouts(trainer: GcpoTrainer, rows: PairRows, traces: int, at_once: int) -> Iterator[dict[str, Any]]:
    """The scored traces of each pair, [2 × traces, …], the preferred image's first."""
    for first in range(0, len(rows), 2 * at_once):
        batch = [rows[row] for row in range(first, first + 2 * at_once) for _ in range(traces)]
        yield from roll_out(trainer, batch, at_once)


def add_pair(found: Found, trainer: GcpoTrainer, weights: Sequence[nn.Parameter], pair: Any) -> None:
    """Adds the gradient of one pair, part by part: the paper's loss at the policy that drew the traces."""
    found.pairs += 1
    advantages, ids, mask = pair["advantages"], pair["completion_ids"], pair["completion_mask"]
    if not advantages.any():
        return
    found.heard += 1
    log_probs, entropies, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model,
        torch.cat([pair["prompt_ids"], ids], dim=1),
        torch.cat([pair["prompt_mask"], mask], dim=1),
        ids.shape[1],
        compute_entropy=True,
        **{name: pair.get(name) for name in _SEEN_BY_THE_MODEL},
    )
    tokenizer = trainer.processing_class.tokenizer
    assert entropies is not None
    kinds = [parts_of([tokenizer.decode([token]) for token in row]) for row in ids.tolist()]
    whole = [torch.zeros_like(weight) for weight in weights]
    for part, sums in found.parts.items():
        chosen = torch.tensor([[kind is part for kind in row] for row in kinds]) * mask
        sums.entropy_nats += float((entropies.detach() * chosen).sum() / len(ids))
        loss = -((advantages[:, None] * log_probs * chosen) / mask.sum(1, keepdim=True)).sum(1).mean()
        gradient = torch.autograd.grad(loss, weights, retain_graph=True, materialize_grads=True)
        sums.add(gradient)
        for total, of_part in zip(whole, gradient, strict=True):
            total += of_part
    found.whole.add(whole)


def table_of(found: Found) -> Table:
    """What is printed; of at least one pair with a gradient."""
    table = Table(
        "part", "nats a trace", "share of |gradient|²", "of it one pair's", "signal",
        title=f"{found.pairs} pairs, {found.heard} of them with a gradient",
    )  # fmt: skip
    found.whole.entropy_nats = sum(sums.entropy_nats for sums in found.parts.values())
    for name, sums in [*found.parts.items(), ("all", found.whole)]:
        row = [name, f"{sums.entropy_nats / found.heard:.2f}", f"{sums.squares / found.whole.squares:.2f}"]
        if sums.squares:
            row += [f"{sums.largest_square / sums.squares:.2f}", f"{sums.signal(found.pairs):+.4f}"]
        table.add_row(*row)
    return table


def main(
    base: Annotated[Path, typer.Option(help="Checkpoint, of the tiny model.", exists=True)],
    pairs: Annotated[Path, typer.Option(help="JSONL file of preference pairs.", exists=True)],
    count: Annotated[int, typer.Option(min=2, help="Pairs, drawn from the file.")] = 24,
    traces: Annotated[int, typer.Option(min=2, help="N, traces an image.")] = 8,
    at_once: Annotated[int, typer.Option(min=1, help="Pairs of a rollout; divides the pairs.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the pairs and of the traces.")] = 0,
) -> None:
    """See the module."""
    if count % at_once:
        raise typer.BadParameter(f"{count} pairs are not whole rollouts of {at_once}", param_hint="--count")
    torch.set_num_threads(1)
    say_machine()
    drawn = random.Random(seed).sample(list(read_pairs(pairs).pairs), count)
    with tempfile.TemporaryDirectory() as out:
        config = GcpoConfig(
            base=base, pairs=pairs, out=Path(out), steps=1, traces=traces, pairs_per_step=at_once,
            batch_per_device=2 * traces, max_trace_tokens=320, dtype="float32",
            gradient_checkpointing=False, equal_images=True, seed=seed,
        )  # fmt: skip
        trainer, rows = trainer_of(config, drawn, pairs.parent)
        trainer.model.train()
        weights = [weight for weight in trainer.model.parameters() if weight.requires_grad]
        found = Found({part: Sums(weights) for part in Part}, Sums(weights))
        for pair in rollouts(trainer, rows, traces, at_once):
            add_pair(found, trainer, weights, pair)
            progress.print(f"{found.pairs} of {count} pairs")
    if not found.heard:
        console.print(
            f"none of {count} pairs had a gradient: all their traces were in order, or none, or tied"
        )
        raise typer.Exit(1)
    console.print(table_of(found))


if __name__ == "__main__":
    typer.run(main)
