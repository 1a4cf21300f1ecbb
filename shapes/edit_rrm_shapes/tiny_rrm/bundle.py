"""Writes a finished checkpoint as the bundled one: half-precision weights, `rrm.json` and a model card."""

from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from edit_rrm.checkpoint import RRMCard, SamplingDefaults, read_card, write_card
from edit_rrm_shapes.tiny_rrm.model import save_servable
from edit_rrm_shapes.tiny_rrm.recipe import load_processor
from edit_rrm_training.evaluation import report
from edit_rrm_training.evaluation.evaluate import Evaluation

JUDGES = (
    "edit-rrm-tiny judges 96-pixel pictures of coloured shapes and nothing else: on photographs its "
    "verdicts mean nothing. Serve a 3B or 7B checkpoint for real edits."
)
MAX_TOKENS = 320
_MADE_OF = (
    "A Qwen2.5-VL of about 4 million parameters, trained from random weights on the shapes world of "
    "edit-rrm (docs/shapes.md): no other data, no other model. Weights in float16; prompts, trace "
    "format and sampling in rrm.json."
)
"""By which a model card that was written here is known."""
_RENAMED = "edit-rrm-train tiny ", "edit-rrm-shapes tiny-rrm "


def tiny_card(name: str, training: dict[str, Any]) -> RRMCard:
    """The `rrm.json` of a tiny checkpoint."""
    return RRMCard(
        name=name,
        profile="trained",
        trace_format="1",
        sampling=SamplingDefaults(max_tokens=MAX_TOKENS),
        max_image_side=384,
        judges=JUDGES,
        training=training,
    )


def bundle(run_directory: Path, stage: str, destination: Path, name: str, training: dict[str, Any]) -> None:
    """Copies `run_directory/stage` to `destination` in float16 with its card; results are recorded later."""
    processor = load_processor(run_directory)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(run_directory / stage, dtype=torch.float32)
    save_servable(model, processor.tokenizer, destination, torch.float16)
    write_card(destination, tiny_card(name, training))
    write_model_card(destination, "Not evaluated yet.")


def record_results(checkpoint: Path, evaluation: Evaluation, command: str) -> Path:
    """Writes an evaluation, and the command that printed it, into the checkpoint's card and its model card.

    Returns where the latter is.
    """
    report.record_results(checkpoint, evaluation)
    return write_model_card(
        checkpoint,
        f"Free generation through vLLM on {evaluation.edits} held-out edits of {evaluation.data}, "
        f"{evaluation.candidates} candidates (`{command}`); intervals are Wilson's.\n\n"
        f"{evaluation.markdown()}",
    )


def write_model_card(checkpoint: Path, results: str) -> Path:
    """Writes README.md from `rrm.json`, with these results; RESULTS.md beside a README of another hand."""
    card = read_card(checkpoint)
    readme = checkpoint / "README.md"
    ours = not readme.exists() or _MADE_OF in readme.read_text(encoding="utf-8", errors="replace")
    path = readme if ours else checkpoint / "RESULTS.md"
    path.write_text(
        f"# {card.name}\n\n{card.judges}\n\n{_MADE_OF}\n\n"
        "## Training\n\nOn two CPU cores in float32; with `--device cuda` on a GPU in TF32.\n\n"
        f"{_history(card.training)}\n\n"
        f"## Results\n\n{results}\n",
        encoding="utf-8",
    )
    return path


def _history(training: dict[str, Any]) -> str:
    """The commands that made the weights, the first one first, a line each with the time they took.

    Under the names they have today: `rrm.json` records what was typed.
    """
    before = _history(training["continues"]) + "\n" if "continues" in training else ""
    seconds: dict[str, int] = training.get("seconds", {})
    times = ", ".join(f"{stage} {duration / 60:.0f} min" for stage, duration in seconds.items())
    command = str(training.get("command", "unknown")).replace(*_RENAMED)
    return f"{before}- `{command}`: {times or 'time unknown'}"
