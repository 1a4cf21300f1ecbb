"""Edits of the shapes world as files for the product's commands. The same seed writes the same bytes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edit_rrm_shapes.world.dataset import EditRecord, make_edit, make_pairs

EDITS, EDITED, PAIRS = "edits.jsonl", "edited.jsonl", "pairs.jsonl"
"""One line an edit, an edited image, a pair (docs/shapes.md, The world)."""


def write_dataset(
    directory: Path, seed: int, count: int, candidate_count: int, progress: Callable[[], None] = lambda: None
) -> None:
    """Writes `images/*.png` and the three files; paths in them begin at `directory`."""
    (directory / "images").mkdir(parents=True, exist_ok=True)
    with (
        (directory / EDITS).open("w", encoding="utf-8") as edits,
        (directory / EDITED).open("w", encoding="utf-8") as edited,
        (directory / PAIRS).open("w", encoding="utf-8") as pairs,
    ):
        for index in range(count):
            edit = make_edit(seed, index, candidate_count)
            row = _with_pictures(edit, directory)
            edits.write(json.dumps(row) + "\n")
            edited.writelines(json.dumps(each) + "\n" for each in _edited_rows(row))
            pairs.writelines(json.dumps(each) + "\n" for each in _pair_rows(row, edit, seed))
            progress()


def _with_pictures(edit: EditRecord, directory: Path) -> dict[str, Any]:
    """The edit with its truth as a row of `edits.jsonl`; its pictures are written."""
    source = f"images/{edit.id}-source.png"
    edit.picture().save(directory / source)
    candidates = []
    for number, candidate in enumerate(edit.candidates):
        name = f"images/{edit.id}-{number}.png"
        candidate.picture().save(directory / name)
        candidates.append({
            "image": name,
            "editor": candidate.editor,
            "verdicts": [int(f.met) for f in candidate.findings],
            "evidence": [f.evidence for f in candidate.findings],
            "score": candidate.score,
            "utility": candidate.utility,
        })  # fmt: skip
    return {
        "id": edit.id,
        "category": edit.request.category,
        "instruction": edit.request.instruction,
        "source": source,
        "principles": [
            {"id": f"p{n}", "question": c.question, "category": c.category.value}
            for n, c in enumerate(edit.checks, start=1)
        ],
        "candidates": candidates,
    }


def _edited_rows(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What `edit-rrm score` reads: nothing of the truth."""
    asked = {name: row[name] for name in ("id", "category", "instruction", "source")}
    for candidate in row["candidates"]:
        yield {**asked, "model": candidate["editor"], "edited": candidate["image"]}


def _pair_rows(row: dict[str, Any], edit: EditRecord, seed: int) -> Iterator[dict[str, Any]]:
    """What `edit-rrm-train gcpo` and `evaluate-pairs` read (PreferencePair)."""
    asked = {name: row[name] for name in ("category", "instruction", "source", "principles")}
    images = [candidate["image"] for candidate in row["candidates"]]
    for pair in make_pairs(edit, seed):
        yield {
            "id": pair.id, **asked, "label": pair.label,
            "preferred": images[pair.preferred], "non_preferred": images[pair.non_preferred],
        }  # fmt: skip
