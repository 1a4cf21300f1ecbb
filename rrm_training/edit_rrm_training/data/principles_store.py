"""Principles for the pairs that come without: decomposed once by the policy before it is trained, and stored.

They belong to (source, instruction), so the pairs of one edit share them. A decomposition that cannot be
used leaves its pairs out, and is stored with its reason: no failure turns into a principle set.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edit_rrm.errors import DecompositionError
from edit_rrm.principles import Principle
from edit_rrm.prompts import Prompt, PromptProfile
from edit_rrm_training.data.jsonl import read_rows
from edit_rrm_training.data.pictures import data_url
from edit_rrm_training.data.preferences import PreferencePair

CHUNK = 64

Complete = Callable[[Sequence[tuple[Prompt, str | bytes]]], Sequence[str]]
"""Texts for (prompt, source reference) pairs."""
Found = tuple[Principle, ...] | str
"""An edit's principles, or why there are none."""
Decompose = Callable[[Sequence[PreferencePair]], Sequence[Found]]
"""What is found for the edit of each pair."""


class StoredPrinciples(BaseModel):
    """One line of the store: what the policy wrote about an edit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    instruction: str
    principles: tuple[Principle, ...] | None = None
    problem: str | None = None


@dataclass(frozen=True)
class PairsWithPrinciples:
    """The pairs that can be asked about, and how many could not be decomposed."""

    pairs: tuple[PreferencePair, ...]
    left_out: int


def missing(pairs: Iterable[PreferencePair], store: Path) -> list[PreferencePair]:
    """One pair of each edit that has no principles, neither of its own nor in `store`."""
    known = {(row.source, row.instruction) for row in _stored(store)}
    found = {_key(pair): pair for pair in pairs if pair.principles is None and _key(pair) not in known}
    return list(found.values())


def decompose_missing(
    pairs: Iterable[PreferencePair],
    store: Path,
    decompose: Decompose,
    *,
    chunk: int = CHUNK,
    on_done: Callable[[int], None] = lambda count: None,
) -> None:
    """Decomposes what is missing and adds it to `store` (JSONL), a chunk at a time: safe to kill."""
    todo = missing(pairs, store)
    store.parent.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(todo), chunk):
        part = todo[start : start + chunk]
        rows = [_row(pair, found) for pair, found in zip(part, decompose(part), strict=True)]
        with store.open("a", encoding="utf-8") as lines:
            lines.writelines(row.model_dump_json() + "\n" for row in rows)
        on_done(len(part))


def filled(pairs: Iterable[PreferencePair], store: Path) -> Iterator[PreferencePair | StoredPrinciples]:
    """Every pair with its principles; for one whose edit could not be decomposed what the store says of that.

    All of them must have been decomposed.
    """
    known = {(row.source, row.instruction): row for row in _stored(store)}
    for pair in pairs:
        row = None if pair.principles else known[_key(pair)]
        if row is None:
            yield pair
        elif row.principles:
            yield pair.model_copy(update={"principles": row.principles})
        else:
            yield row


def with_principles(
    pairs: Sequence[PreferencePair], store: Path, decompose: Decompose
) -> PairsWithPrinciples:
    """Fills in what is missing, from `store` and by decomposing what is not in it yet."""
    decompose_missing(pairs, store, decompose)
    kept = tuple(pair for pair in filled(pairs, store) if isinstance(pair, PreferencePair))
    return PairsWithPrinciples(kept, len(pairs) - len(kept))


def by_prompts(profile: PromptProfile, complete: Complete) -> Decompose:
    """Decomposes by a checkpoint that `complete` asks in the words of `profile`."""

    def decompose(pairs: Sequence[PreferencePair]) -> list[Found]:
        asked = [(profile.decompose(pair.instruction, seed=0), pair.source) for pair in pairs]
        return [_read(text, profile) for text in complete(asked)]

    return decompose


def _read(text: str, profile: PromptProfile) -> Found:
    try:
        return profile.parse_principles(text)
    except DecompositionError as error:
        return str(error)


def _key(pair: PreferencePair) -> tuple[str, str]:
    source = pair.source if isinstance(pair.source, str) else data_url(pair.source)
    return source, pair.instruction


def _row(pair: PreferencePair, found: Found) -> StoredPrinciples:
    source, instruction = _key(pair)
    if isinstance(found, str):
        return StoredPrinciples(source=source, instruction=instruction, problem=found)
    return StoredPrinciples(source=source, instruction=instruction, principles=found)


def _stored(store: Path) -> list[StoredPrinciples]:
    """The store's rows. A last line that a kill cut short is cut away, so that it is written again."""
    if not store.exists():
        return []
    text = store.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        store.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    return list(read_rows(store, StoredPrinciples))
