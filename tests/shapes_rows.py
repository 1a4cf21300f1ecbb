"""Rows and pairs of the shapes world by reference, and a tiny checkpoint nobody trained."""

from pathlib import Path

import torch
from datasets import Dataset

from edit_rrm.checkpoint import write_card
from edit_rrm.principles import Principle, numbered
from edit_rrm_shapes.tiny_rrm.bundle import tiny_card
from edit_rrm_shapes.tiny_rrm.model import build_config, new_model, save_servable
from edit_rrm_shapes.tiny_rrm.tasks import decompose_completion, verify_completion
from edit_rrm_shapes.tiny_rrm.tokenizer import build_tokenizer
from edit_rrm_shapes.world.dataset import EditRecord, make_edit
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.data.row_store import store_rows
from edit_rrm_training.data.sft_rows import SftRow

WORLD = 900


def save_untrained(directory: Path) -> Path:
    """Writes the small size with random weights, and its card, to `directory`."""
    tokenizer = build_tokenizer(corpus_size=600)
    model = new_model(tokenizer, 0, build_config(tokenizer, "s"))
    save_servable(model, tokenizer, directory, torch.float32)
    write_card(directory, tiny_card("untrained", {}))
    return directory


def principles_of(edit: EditRecord) -> tuple[Principle, ...]:
    """The gold principles."""
    return numbered((check.category, check.question) for check in edit.checks)


def pair(index: int, *, with_principles: bool = True) -> PreferencePair:
    """Candidates 0 and 1 of an edit, the better one by utility preferred."""
    edit = make_edit(WORLD, index, 4)
    first, second = edit.candidates[:2]
    better, worse = (0, 1) if first.utility >= second.utility else (1, 0)
    return PreferencePair(
        id=f"pair-{index}",
        source=str(ShapesRef(WORLD, index)),
        instruction=edit.request.instruction,
        principles=principles_of(edit) if with_principles else None,
        preferred=str(ShapesRef(WORLD, index, better)),
        non_preferred=str(ShapesRef(WORLD, index, worse)),
        label="prefer",
    )


def verify_row(index: int) -> SftRow:
    """Candidate 0 of an edit with its gold trace."""
    edit = make_edit(WORLD, index, 4)
    return SftRow(
        id=f"verify-{index}",
        task="verify",
        instruction=edit.request.instruction,
        source=str(ShapesRef(WORLD, index)),
        candidate=str(ShapesRef(WORLD, index, 0)),
        principles=principles_of(edit),
        completion=verify_completion(edit.candidates[0]),
    )


def decompose_row(index: int) -> SftRow:
    """An edit with its gold decomposition."""
    edit = make_edit(WORLD, index, 4)
    return SftRow(
        id=f"decompose-{index}",
        task="decompose",
        instruction=edit.request.instruction,
        source=str(ShapesRef(WORLD, index)),
        completion=decompose_completion(edit),
    )


def stored(rows: list[SftRow], folder: Path) -> Dataset:
    """The rows as SFT reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    return store_rows([write_lines(folder / "stored.jsonl", rows)], folder / "store")


def write_lines(file: Path, rows: list[SftRow] | list[PreferencePair]) -> Path:
    """Writes a JSONL file and returns it."""
    file.write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")
    return file
