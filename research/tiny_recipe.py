"""Which parts of the tiny model's recipe make it see sooner: describing one picture, a short run a variant.

Prints the mean loss (nats a token) of every 25 steps. One seed, a few minutes each on two cores: a lead.

    .venv/bin/python research/tiny_recipe.py --optimizer adamw --kv-heads 1
    .venv/bin/python research/tiny_recipe.py --optimizer muon
    .venv/bin/python research/tiny_recipe.py --optimizer muon --look-steps 250
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from rich.console import Console
from rich.table import Table

from edit_rrm_shapes.tiny_rrm import model as tiny_model
from edit_rrm_shapes.tiny_rrm.batches import StepBatches
from edit_rrm_shapes.tiny_rrm.looking import run_look_stage
from edit_rrm_shapes.tiny_rrm.recipe import LOOK, load_processor
from edit_rrm_shapes.tiny_rrm.tasks import Task
from edit_rrm_shapes.tiny_rrm.training import BETAS, CLIP_NORM, MUON_SCALE, completion_loss, make_optimizers
from edit_rrm_training.runs.equal_images import batch_vision_attention

LR = 1e-3
WARMUP_STEPS = 40
WINDOW = 25


def main() -> None:
    """Trains one variant and prints its losses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--optimizer", choices=["adamw", "muon"], default="muon")
    parser.add_argument("--kv-heads", type=int, choices=[1, 3], default=3)
    parser.add_argument("--look-steps", type=int, default=0, help="steps of the look stage beforehand")
    parser.add_argument("--steps", type=int, default=150, help="steps of describing, batch 16")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        processor = load_processor(Path(directory))
        config = tiny_model.build_config(processor.tokenizer)
        config.text_config.num_key_value_heads = given.kv_heads
        model = tiny_model.new_model(processor.tokenizer, 0, config)
        started = time.monotonic()
        if given.look_steps:
            run_look_stage(replace(LOOK, steps=given.look_steps), model, processor, Path(directory))
        look_s = time.monotonic() - started
        batch_vision_attention(model)
        optimizers = make_optimizers(model)
        rates = [LR * MUON_SCALE, LR]
        if given.optimizer == "adamw":
            optimizers = [torch.optim.AdamW(model.parameters(), lr=LR, betas=BETAS, weight_decay=0.05)]
            rates = [LR]
        batches = StepBatches(processor, {Task.DESCRIBE: 1.0}, seed=11, batch_size=16, steps=given.steps)
        losses = []
        started = time.monotonic()
        for step in range(given.steps):
            loss = completion_loss(model, batches[step])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            for optimizer, rate in zip(optimizers, rates, strict=True):
                optimizer.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / WARMUP_STEPS)
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.item())
        took_s = time.monotonic() - started
    table = Table("steps", "loss, nats a token", title=f"{vars(given)}")
    for start in range(0, given.steps, WINDOW):
        window = losses[start : start + WINDOW]
        table.add_row(f"{start + 1} to {start + len(window)}", f"{fmean(window):.3f}")
    Console().print(table, f"look {look_s:.0f} s, describing {took_s / given.steps:.2f} s a step")


if __name__ == "__main__":
    main()
