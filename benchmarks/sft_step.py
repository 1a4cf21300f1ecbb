"""What does bfloat16 save on a CPU, and what do compiled layers, in a step of SFT?

    .venv/bin/python benchmarks/sft_step.py [--rounds 3] [--steps 6] [--batch 16] [--model CHECKPOINT]

The same real steps of SFT on the same rows of the shapes world: in float32, in bfloat16,
and in bfloat16 with compiled layers, one way after the other in every round, each on one thread, after steps
that are not counted. A ratio compares two ways of one round, as a machine's speed changes between rounds.
Seconds are from log to log: they hold the drawing of the pictures and the optimiser, which no type changes.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from rig.report import console, progress, say_machine

from edit_rrm.principles import numbered
from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_shapes.tiny_rrm.tasks import verify_completion
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.jsonl import write_rows
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.runs.settings import SftConfig
from edit_rrm_training.sft.run import run_sft

WORLD = 3000
WARM_STEPS = 8
"""Batches differ in length; these see enough lengths for everything to be compiled."""
WAYS: Mapping[str, dict[str, Any]] = {
    "float32": {"dtype": "float32"},
    "bfloat16": {"dtype": "bfloat16"},
    "bfloat16, compiled": {"dtype": "bfloat16", "compile_layers": True},
}


def row(index: int) -> SftRow:
    """Candidate 0 of an edit with its gold trace."""
    edit = make_edit(WORLD, index, 4)
    return SftRow(
        id=str(index), task="verify", instruction=edit.request.instruction,
        source=str(ShapesRef(WORLD, index)), candidate=str(ShapesRef(WORLD, index, 0)),
        principles=numbered((check.category, check.question) for check in edit.checks),
        completion=verify_completion(edit.candidates[0]),
    )  # fmt: skip


def seconds_of(config: SftConfig) -> list[float]:
    """Seconds of every step after those that warm up."""
    ends: list[float] = []
    run_sft(config, on_log=lambda step, values: ends.append(time.perf_counter()))
    return [end - begin for begin, end in pairwise(ends)][WARM_STEPS : config.steps - 1]


def main(
    rounds: Annotated[int, typer.Option(help="Times that every way is measured.")] = 3,
    steps: Annotated[int, typer.Option(help="Steps measured of each, a round.")] = 6,
    batch: Annotated[int, typer.Option(help="Rows of a step.")] = 16,
    model: Annotated[Path, typer.Option(help="Checkpoint to start from.")] = BUNDLED_MODEL,
) -> None:
    """Prints the median seconds of a step of each way, and its ratios to float32 over the rounds."""
    torch.set_num_threads(1)
    medians: dict[str, list[float]] = {way: [] for way in WAYS}
    total = WARM_STEPS + steps + 1
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        write_rows(out / "rows.jsonl", (row(index) for index in range(batch * total)))
        for number in range(rounds):
            for way, options in WAYS.items():
                progress.print(f"round {number + 1} of {rounds}, {way}: {total} steps of {batch}")
                config = SftConfig(
                    base=model, out=out / f"{way}-{number}", rows=(out / "rows.jsonl",), steps=total,
                    batch_per_device=batch, lr=1e-5, token_weights="shapes", optimizer="muon", workers=0,
                    gradient_checkpointing=False, equal_images=True, log_every=1, save_every=10_000,
                    **options,
                )  # fmt: skip
                medians[way].append(statistics.median(seconds_of(config)))
    table = Table(
        "way", "median s a step", "of float32",
        title=f"{rounds} rounds of {steps} steps of {batch} rows, one thread",
    )  # fmt: skip
    for way, seconds in medians.items():
        ratios = [mine / base for mine, base in zip(seconds, medians["float32"], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        table.add_row(way, f"{statistics.median(seconds):.2f}", spread)
    console.print(table)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
