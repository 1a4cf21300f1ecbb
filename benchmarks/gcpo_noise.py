"""Which tokens of a trace give GCPO's gradient its noise, and how many pairs does it take to hear anything?

    .venv/bin/python benchmarks/gcpo_noise.py --base CHECKPOINT --pairs PAIRS.jsonl [--count 24] [--traces 8]

One gradient a pair, of the policy as it stands, split by what a token is: a digit of the score before the
point or after it, the average of the verdicts, what is seen (between ":" and "=>"), the rest. Printed of each
part, over the pairs: its entropy in nats a trace, its share of the mean squared norm of the whole gradient,
and |mean gradient|² / mean |gradient|², without the bias of a finite sample (0 is noise alone; 1/x says that
about x pairs have a gradient as long as their noise). Traces of format 1 (docs/shapes.md), as the tiny
model writes them. No weight is changed.
"""

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from rig.report import console, progress, say_machine
from trl.trainer.grpo_trainer import split_pixel_values_by_grid, unsplit_pixel_values_by_grid
from trl.trainer.utils import split_tensor_dict

from edit_rrm.profiles import get_profile
from edit_rrm_training.checkpoints import load_base
from edit_rrm_training.data.preferences import read_pairs
from edit_rrm_training.gcpo import GcpoTrainer
from edit_rrm_training.gcpo_run import grpo_arguments
from edit_rrm_training.train_settings import GcpoConfig
from edit_rrm_training.trl_rows import PairRows

PARTS = ("score, integer part", "score, decimal", "average", "seen", "rest")
WHOLE, DECIMAL, AVERAGE, SEEN, REST = range(5)


@dataclass
class Sums:
    """Over pairs: the sum of gradients, of their squared norms, and of entropies."""

    gradient: list[torch.Tensor]
    squares: float = 0.0
    entropy_nats: float = 0.0

    def add(self, gradient: list[torch.Tensor]) -> None:
        """Takes the gradient of one pair."""
        for total, part in zip(self.gradient, gradient, strict=True):
            total += part
        self.squares += sum(float(part.square().sum()) for part in gradient)

    def signal(self, pairs: int) -> float:
        """|mean|² / mean of |·|², unbiased."""
        of_sum = sum(float(total.square().sum()) for total in self.gradient)
        return (of_sum - self.squares) / (pairs - 1) / self.squares if self.squares else 0.0


@dataclass
class Found:
    """What was summed up."""

    parts: list[Sums]
    whole: Sums
    pairs: int = 0
    heard: int = 0
    """Pairs whose advantages were not all 0."""
    kinds: dict[int, str] = field(default_factory=dict)


def parts_of(words: list[str]) -> list[int]:
    """The part of each token of a trace, from its tokens' texts."""
    found, state = [], REST
    for word in words:
        text = word.strip()
        if "=>" in word or "\n" in word or text == "</":
            state = REST
        digit_of_score = state in (WHOLE, DECIMAL) and not text.isdigit()
        found.append(REST if digit_of_score else state)
        if text == ":":
            state = SEEN
        elif text == "average":
            state = AVERAGE
        elif text == "<score":
            state = WHOLE
        elif text == "." and state == WHOLE:
            state = DECIMAL
    return found


def rollouts(trainer: GcpoTrainer, rows: PairRows, traces: int, at_once: int) -> Iterator[dict[str, Any]]:
    """The scored traces of each pair, [2 × traces, …]."""
    for first in range(0, len(rows.pairs), at_once):
        drawn = [
            rows[row] for row in range(2 * first, 2 * (first + at_once)) for _ in range(traces)
        ]  # whole pairs, the preferred image first
        scored = split_pixel_values_by_grid(trainer._generate_and_score_completions(drawn))
        for pair in split_tensor_dict(scored, at_once):
            yield unsplit_pixel_values_by_grid(pair)


def add_pair(found: Found, trainer: GcpoTrainer, pair: dict[str, Any]) -> None:
    """Adds the gradient of one pair, part by part: the paper's loss at the policy that drew the traces."""
    found.pairs += 1
    advantages, ids, mask = pair["advantages"], pair["completion_ids"], pair["completion_mask"]
    if not advantages.any():
        return
    found.heard += 1
    model = trainer.model
    log_probs, entropies, _ = trainer._get_per_token_logps_and_entropies(
        model,
        torch.cat([pair["prompt_ids"], ids], dim=1),
        torch.cat([pair["prompt_mask"], mask], dim=1),
        ids.shape[1],
        compute_entropy=True,
        **{name: pair.get(name) for name in
           ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")},
    )  # fmt: skip
    words = [[found.kinds[token] for token in row] for row in ids.tolist()]
    kinds = torch.tensor([parts_of(row) for row in words])  # [traces, tokens]
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    whole = [torch.zeros_like(weight) for weight in weights]
    for kind, sums in enumerate(found.parts):
        chosen = (kinds == kind) * mask
        sums.entropy_nats += float((entropies.detach() * chosen).sum() / len(ids))
        loss = -((advantages[:, None] * log_probs * chosen) / mask.sum(1, keepdim=True)).sum(1).mean()
        gradient = torch.autograd.grad(loss, weights, retain_graph=kind < REST, materialize_grads=True)
        sums.add(list(gradient))
        for total, part in zip(whole, gradient, strict=True):
            total += part
    found.whole.add(whole)


def table_of(found: Found) -> Table:
    """What is printed."""
    table = Table("part", "nats a trace", "share of |gradient|²", "signal",
                  title=f"{found.pairs} pairs, {found.heard} of them with a gradient")  # fmt: skip
    for name, sums in zip((*PARTS, "all"), (*found.parts, found.whole), strict=True):
        entropy = sum(part.entropy_nats for part in found.parts) if name == "all" else sums.entropy_nats
        table.add_row(name, f"{entropy / found.heard:.2f}", f"{sums.squares / found.whole.squares:.2f}",
                      f"{sums.signal(found.pairs):+.4f}")  # fmt: skip
    return table


def main(
    base: Annotated[Path, typer.Option(help="Checkpoint, of the tiny model.", exists=True)],
    pairs: Annotated[Path, typer.Option(help="JSONL file of preference pairs.", exists=True)],
    count: Annotated[int, typer.Option(min=2, help="Pairs, drawn from the file.")] = 24,
    traces: Annotated[int, typer.Option(min=2, help="N, traces an image.")] = 8,
    at_once: Annotated[int, typer.Option(min=1, help="Pairs of a rollout; divides the pairs.")] = 4,
) -> None:
    """See the module."""
    if count % at_once:
        raise typer.BadParameter(f"{count} pairs are not whole rollouts of {at_once}", param_hint="--count")
    torch.set_num_threads(1)
    say_machine()
    with tempfile.TemporaryDirectory() as out:
        config = GcpoConfig(
            base=base, pairs=pairs, out=Path(out), steps=1, traces=traces, pairs_per_step=at_once,
            batch_per_device=2 * traces, max_trace_tokens=320, dtype="float32",
            gradient_checkpointing=False, equal_images=True,
        )  # fmt: skip
        loaded = load_base(config)
        profile = get_profile(loaded.card.profile)
        drawn = random.Random(0).sample(list(read_pairs(pairs).pairs), count)
        rows = PairRows(drawn, pairs.parent, profile, loaded.card.max_image_side)
        trainer = GcpoTrainer(
            loaded.model, rows, None, profile,
            args=grpo_arguments(config, 1), processing_class=loaded.processor,
        )  # fmt: skip
        trainer.model.train()
        shapes = [weight for weight in trainer.model.parameters() if weight.requires_grad]
        fresh = [Sums([torch.zeros_like(weight) for weight in shapes]) for _ in range(len(PARTS) + 1)]
        tokenizer = loaded.processor.tokenizer
        found = Found(fresh[:-1], fresh[-1])
        found.kinds = {token: tokenizer.decode([token]) for token in range(len(tokenizer))}
        for pair in rollouts(trainer, rows, traces, at_once):
            add_pair(found, trainer, pair)
            progress.print(f"{found.pairs} of {count} pairs")
    console.print(table_of(found))


if __name__ == "__main__":
    typer.run(main)
