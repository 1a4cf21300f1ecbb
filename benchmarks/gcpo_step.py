"""What does a GCPO step cost, part by part, and what do its rollouts cost beside the bare generate call?

    .venv/bin/python benchmarks/gcpo_step.py [--steps 4] [--pairs 4] [--traces 8] [--fast]

Real steps of GCPO's trainer on pairs of the shapes world, rollouts by transformers,
full training, in float32 or, with --fast, in bfloat16 with compiled layers. A rollout is everything from the
rows' messages to the traces' texts: tokenising, pixels, generation, decoding. The bare call is
`model.generate` on the tensors of the same batch, from the same random state and with weights of the same
type, so that both write the same traces; who comes first alternates. Memory is the process's resident set,
sampled every 10 ms, or what CUDA allocated. Bar: rollouts reach 0.9 of the bare call's traces a second.

    .venv/bin/python benchmarks/gcpo_step.py --side 1024 [--steps 2] [--pairs 1] [--traces 8]

How much of a step is preprocessing (the processor: pixels and tokens), when every trace's images are
preprocessed, as TRL does, and when each distinct one is, once? Pictures of so many pixels a side, in patches
of Qwen2.5-VL's size, and an untrained model with one vision layer, whose other parts are no measure of a real
one. A copy of the pixels for every trace, which transformers' `generate` wants, is the rollout's. Bar: at
least 5 times less.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import torch
import typer
from rich.table import Table
from rig.gcpo import large_pairs, preprocessed_for_every_trace, save_large_eyed, shapes_pairs, trainer_of
from rig.phases import Phases
from rig.report import Bar, console, progress, say_machine
from transformers import ProcessorMixin, TrainerCallback
from trl.data_utils import prepare_multimodal_messages

from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_training.data.trl_rows import Row
from edit_rrm_training.gcpo import trainer as gcpo_trainer
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.rollouts.preprocessed_once import preprocessed_once
from edit_rrm_training.runs.cpu_bfloat16 import weights_in
from edit_rrm_training.runs.settings import GcpoConfig

BAR = Bar("rollout against the bare generate call, traces a second, median", 0.9, at_least=True)
PREPROCESSING_BAR = Bar("preprocessing for every trace against once, seconds of a step", 5, at_least=True)


class _Update(TrainerCallback):  # type: ignore[misc]
    """Counts a whole step as the update, but for what is counted inside it."""

    def __init__(self, phases: Phases) -> None:
        self._phases = phases

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._open = self._phases.of("update")
        self._open.__enter__()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._open.__exit__(None, None, None)


def against_bare(trainer: GcpoTrainer, rows: Sequence[Row], traces: int, repetitions: int) -> float:
    """Rollout throughput over that of the bare call, median of the ratios of the same traces."""
    batch = [row for row in rows for _ in range(traces)]
    prompts = [prepare_multimodal_messages(row["prompt"], images=row["images"]) for row in batch]
    ids, _, _ = trainer._tokenize_prompts(prompts)
    texts = [
        trainer.processing_class.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        for prompt in prompts
    ]
    tensors = trainer.processing_class(
        text=texts, images=[row["images"] for row in batch], padding=True, return_tensors="pt"
    ).to(trainer.accelerator.device)
    pad = trainer.processing_class.tokenizer.pad_token_id
    assert [row[row != pad].tolist() for row in tensors["input_ids"]] == ids
    model = trainer.accelerator.unwrap_model(trainer.model)

    def bare() -> None:
        lent = weights_in(torch.bfloat16, model) if trainer.args.bf16 else nullcontext()
        with torch.no_grad(), torch.compiler.set_stance("force_eager"), lent:
            model.generate(**tensors, generation_config=trainer.generation_config)

    def rollout() -> None:
        trainer._generate(prompts)

    model.train()  # the rollout's length is that of training, not of measuring
    ratios = []
    for repetition in range(repetitions):
        seconds = {}
        for run in (bare, rollout) if repetition % 2 else (rollout, bare):
            torch.manual_seed(repetition)
            started = time.perf_counter()
            run()
            seconds[run] = time.perf_counter() - started
        ratios.append(seconds[bare] / seconds[rollout])
        progress.print(f"{len(batch)} traces: rollout {seconds[rollout]:.2f} s, bare {seconds[bare]:.2f} s")
    console.print(
        f"rollout {len(batch) / seconds[rollout]:.1f} traces/s, bare {len(batch) / seconds[bare]:.1f} (last)"
    )
    return statistics.median(ratios)


def step_parts(config: GcpoConfig, steps: int, pairs: int, side: int) -> dict[str, float]:
    """Median seconds of a step's parts on pictures of that side, which are written beside the run."""
    phases = Phases()
    config.out.mkdir()
    files = large_pairs(config.out, pairs * (steps + 1), side)
    trainer, _ = trainer_of(config, files, config.out, callbacks=[_Update(phases)])
    phases.wrap(trainer, "_generate_and_score_completions", "rollout")
    with patch.object(ProcessorMixin, "__call__", ProcessorMixin.__call__):
        phases.wrap(ProcessorMixin, "__call__", "preprocessing")
        trainer.train()
    calls = len(phases.seconds["preprocessing"]) // (steps + 1)
    of_steps = [sum(phases.seconds["preprocessing"][step * calls :][:calls]) for step in range(1, steps + 1)]
    median = {name: statistics.median(values[1:]) for name, values in phases.seconds.items()}
    return {**median, "preprocessing": statistics.median(of_steps)}


def compare_preprocessing(out: Path, steps: int, pairs: int, traces: int, side: int) -> None:
    """Prints both ways' parts of a step, and the bar."""
    base = save_large_eyed(out / "base", side)
    ways = {}
    for name, way in (("every trace", preprocessed_for_every_trace), ("once", preprocessed_once)):
        config = GcpoConfig(
            base=base, out=out / name, pairs=out / "unused", steps=steps + 1, traces=traces,
            pairs_per_step=pairs, batch_per_device=traces, max_trace_tokens=16, lr=1e-6, dtype="float32",
            gradient_checkpointing=False, share_prompts=True, workers=0, save_every=10_000,
        )  # fmt: skip
        with patch.object(gcpo_trainer, "preprocessed_once", way):
            ways[name] = step_parts(config, steps, pairs, side)
        progress.print(f"{name}: {ways[name]}")
    table = Table("preprocessed", "preprocessing, s", "rollout without it, s", "update, s", "of the step")
    for name, parts in ways.items():
        share = parts["preprocessing"] / sum(parts.values())
        table.add_row(
            name, *(f"{parts[part]:.3f}" for part in ("preprocessing", "rollout", "update")), f"{share:.1%}"
        )
    console.print(table)
    PREPROCESSING_BAR.judge(ways["every trace"]["preprocessing"] / ways["once"]["preprocessing"])
    say_machine()


def main(
    steps: Annotated[int, typer.Option(help="Steps measured, after one that is not.")] = 4,
    pairs: Annotated[int, typer.Option(help="Pairs of a rollout.")] = 4,
    traces: Annotated[int, typer.Option(help="N, traces an image.")] = 8,
    repetitions: Annotated[int, typer.Option(help="Rollouts compared with the bare call.")] = 3,
    fast: Annotated[bool, typer.Option(help="bfloat16, and compiled layers for updates.")] = False,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
    side: Annotated[int | None, typer.Option(help="Preprocessing alone, of pictures of that side.")] = None,
) -> None:
    """Prints seconds and peak memory of a step's parts, then rollouts beside the bare call, and the bar."""
    if side is not None:
        with tempfile.TemporaryDirectory() as out:
            compare_preprocessing(Path(out), steps, pairs, traces, side)
        return
    phases = Phases()
    with tempfile.TemporaryDirectory() as out:
        config = GcpoConfig(
            base=model, out=Path(out), pairs=Path(out) / "unused", steps=steps + 1, traces=traces,
            pairs_per_step=pairs, batch_per_device=min(32, 2 * pairs * traces), max_trace_tokens=256, lr=1e-6,
            dtype="bfloat16" if fast else "float32", compile_layers=fast,
            gradient_checkpointing=False, equal_images=True, workers=0, save_every=10_000,
        )  # fmt: skip
        trainer, rows = trainer_of(config, shapes_pairs(pairs * (steps + 1)), callbacks=[_Update(phases)])
        few = [rows[index] for index in range(2 * pairs)]
        ratio = against_bare(trainer, few, traces, repetitions)
        phases.wrap(trainer, "_generate_and_score_completions", "tensors of the update")
        phases.wrap(trainer, "_generate", "rollout")
        phases.wrap(trainer, "_calculate_rewards", "reward")
        trainer.train()
    table = Table(
        "part", "median s", "peak MiB", title=f"{pairs} pairs of 2 × {traces} traces, {steps} steps"
    )
    for name, values in phases.seconds.items():
        table.add_row(name, f"{statistics.median(values[1:]):.3f}", f"{phases.peak_bytes[name] / 2**20:.0f}")
    console.print(table)
    BAR.judge(ratio)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
