"""Preference pairs: two candidates of one edit and which of them a person preferred. What GCPO learns from
and what pairwise accuracy is measured on; published layouts are turned into it in `layouts.py`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edit_rrm.row_ids import RowId
from edit_rrm.wire import Instruction
from edit_rrm_training.data.jsonl import numbered_rows, read_rows
from edit_rrm_training.data.judged import Principles
from edit_rrm_training.data.pictures import PictureRef, load_picture_of_row
from edit_rrm_training.errors import RowError


class PreferencePair(BaseModel):
    """One judgement. With the label "same" the order of the two means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: RowId
    source: PictureRef
    instruction: Instruction
    principles: Principles | None = None
    preferred: PictureRef
    non_preferred: PictureRef
    label: Literal["prefer", "same"]
    category: str | None = None
    """By which accuracy is broken down: the kind of edit, or the dimension that was judged."""


@dataclass(frozen=True)
class PreferencePairs:
    """The pairs with a preference, and how many labelled "same" were left out."""

    pairs: tuple[PreferencePair, ...]
    same: int


def without_same(pairs: Iterable[PreferencePair]) -> PreferencePairs:
    """Leaves "same" out, and counts it."""
    listed = list(pairs)
    kept = tuple(pair for pair in listed if pair.label == "prefer")
    return PreferencePairs(kept, len(listed) - len(kept))


def read_pairs(path: Path) -> PreferencePairs:
    """The pairs of a JSONL file of `PreferencePair`; picture paths in them are relative to the file, so load
    them with `load_image(pair.preferred, path.parent)`. Raises RowError."""
    return without_same(read_rows(path, PreferencePair))


def check_pairs(path: Path) -> None:
    """Loads every picture of a file's pairs once. Raises RowError, also where no pair has a preference."""
    loaded: set[str | bytes] = set()
    preferences = 0
    for number, pair in numbered_rows(path, PreferencePair):
        if pair.label == "same":
            continue
        preferences += 1
        for field in ("source", "preferred", "non_preferred"):
            reference = getattr(pair, field)
            if reference not in loaded:
                load_picture_of_row(reference, path, number, field, f"pair {pair.id!r}")
                loaded.add(reference)
    if not preferences:
        raise RowError(path, 0, "", "holds no pair with a preference")
