"""Which rows an SFT set is made of, and in what order. Pure: arrays in, indices out, the same for one seed.

A row of which an equal one stood before is left out. Of the kinds, the one that is scarcest for its share is
taken whole and the others are thinned at random; no row is taken twice. What is held out for validation is
held out by edit: no edit is on both sides, whatever rows it has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class RowFacts:
    """What the choice goes by, a value a row."""

    tasks: NDArray[np.object_]  # strings
    keys: Indices  # equal for equal rows
    edits: Indices  # equal for rows of one edit


@dataclass(frozen=True)
class Mix:
    """Rows by their places, in the order in which they are written."""

    train: Indices
    validation: Indices
    repeated: Indices
    unused: Indices
    """For the shares, or beyond the number asked for."""


def mix(
    facts: RowFacts, *, shares: Mapping[str, float], validation: float, most: int | None, seed: int
) -> Mix:
    """`shares` of each task, 1 in all; none: all rows as they are. `validation` is a share of the edits; at
    least one is held out when it is not 0. `most` bounds the rows to train on."""
    random = np.random.default_rng(seed)
    _, first = np.unique(facts.keys, return_index=True)
    distinct = np.sort(first)
    repeated = np.setdiff1d(np.arange(len(facts.keys)), distinct, assume_unique=True)

    edits, edit_of = np.unique(facts.edits, return_inverse=True)
    held = np.zeros(len(edits), dtype=bool)
    held[random.permutation(len(edits))[: ceil(validation * len(edits))]] = True
    is_held = held[edit_of[distinct]]

    train = _shared(distinct[~is_held], facts.tasks, shares, most, random)
    held_out = _shared(distinct[is_held], facts.tasks, shares, None, random)
    unused = np.setdiff1d(distinct, np.concatenate([train, held_out]), assume_unique=True)
    return Mix(random.permutation(train), random.permutation(held_out), repeated, unused)


def _shared(
    rows: Indices, tasks: NDArray[np.object_], shares: Mapping[str, float], most: int | None,
    random: np.random.Generator,
) -> Indices:  # fmt: skip
    rows = random.permutation(rows)
    if not shares:
        return rows[:most]
    of_task = {task: rows[tasks[rows] == task] for task, share in shares.items() if share}
    total = min(len(of_task[task]) / shares[task] for task in of_task)
    if most is not None:
        total = min(total, most)
    return np.concatenate([of_task[task][: int(total * shares[task] + 1e-9)] for task in of_task])
