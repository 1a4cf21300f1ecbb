"""Edits and preference pairs of the shapes world as rows that refer to pictures instead of holding them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

from edit_rrm.principles import numbered
from edit_rrm_training.data.pictures import ShapesRef
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.pipeline.rows import EditRow
from edit_rrm_training.shapes.dataset import make_edit, make_pairs


def write_whole(path: Path, rows: Iterable[BaseModel]) -> int:
    """Writes rows as JSONL, which appears under its name only when it is complete; returns their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    count = 0
    with partial.open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(row.model_dump_json(exclude_none=True) + "\n")
            count += 1
    os.replace(partial, path)
    return count


def shapes_edit_rows(seed: int, count: int) -> Iterator[EditRow]:
    """The first `count` edits of a world."""
    for index in range(count):
        source = ShapesRef(seed, index)
        request = source.edit().request
        yield EditRow(
            id=f"{seed}-{index}",
            instruction=request.instruction,
            source=str(source),
            category=request.category,
        )


def shapes_pair_rows(seed: int, count: int, candidates: int) -> Iterator[PreferencePair]:
    """All pairs among the candidates of the first `count` edits, with gold principles, "same" included."""
    for index in range(count):
        edit = make_edit(seed, index, candidates)
        principles = numbered((check.category, check.question) for check in edit.checks)
        for pair in make_pairs(edit, seed):
            yield PreferencePair(
                id=pair.id, instruction=edit.request.instruction, category=edit.request.category,
                source=str(ShapesRef(seed, index)), principles=principles, label=pair.label,
                preferred=str(ShapesRef(seed, index, pair.preferred)),
                non_preferred=str(ShapesRef(seed, index, pair.non_preferred)),
            )  # fmt: skip
