"""Writes an evaluation to a folder (`evaluation.json`, `.md`, `traces.jsonl`, plots), or into a card."""

import json
from collections.abc import Sequence
from pathlib import Path

from edit_rrm.checkpoint import read_card, write_card
from edit_rrm_training.evaluation.details import Details
from edit_rrm_training.evaluation.evaluate import Evaluation, JudgedEdit


def write_report(out: Path, evaluation: Evaluation, details: Details, judged: Sequence[JudgedEdit]) -> None:
    """Writes the four into `out`."""
    from edit_rrm_training.evaluation.plots import write_plots  # matplotlib: only when something is drawn

    out.mkdir(parents=True, exist_ok=True)
    results = {**evaluation.as_dict(), "details": details.as_dict()}
    (out / "evaluation.json").write_text(json.dumps(results, indent=2) + "\n")
    (out / "evaluation.md").write_text(f"{evaluation.markdown()}\n\n{details.markdown()}\n")
    write_plots(details, out)
    with (out / "traces.jsonl").open("w", encoding="utf-8") as traces:
        for item in judged:
            traces.write(json.dumps({
                "id": item.edit.id, "instruction": item.edit.instruction,
                "decomposition": item.decomposition.text,
                "traces": [opinion.texts[0] if opinion.texts else None for opinion in item.opinions],
            }) + "\n")  # fmt: skip


def record_results(checkpoint: Path, evaluation: Evaluation) -> None:
    """Writes an evaluation into the checkpoint's `rrm.json`."""
    card = read_card(checkpoint)
    training = {**card.training, "results": evaluation.as_dict()}
    write_card(checkpoint, card.model_copy(update={"training": training}))
