"""Principles for the pairs that come without: decomposed once by the policy before it is trained, and stored.

They belong to (source, instruction), so the pairs of one edit share them. A decomposition that cannot be
used leaves its pairs out, and is stored with its reason: no failure turns into a principle set.
"""

from collections.abc import Callable, Sequence
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


def with_principles(
    pairs: Sequence[PreferencePair], store: Path, profile: PromptProfile, complete: Complete
) -> PairsWithPrinciples:
    """Fills in what is missing, from `store` (JSONL) and by decomposing what is not in it yet."""
    known = {(row.source, row.instruction): row for row in _stored(store)}
    missing = {_key(pair): pair for pair in pairs if pair.principles is None and _key(pair) not in known}
    todo = list(missing.items())
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        texts = complete([(profile.decompose(pair.instruction, seed=0), pair.source) for _, pair in chunk])
        rows = [_row(key, text, profile) for (key, _), text in zip(chunk, texts, strict=True)]
        with store.open("a", encoding="utf-8") as lines:
            lines.writelines(row.model_dump_json() + "\n" for row in rows)
        known.update({(row.source, row.instruction): row for row in rows})
    filled = [
        pair if pair.principles else pair.model_copy(update={"principles": known[_key(pair)].principles})
        for pair in pairs
    ]
    kept = tuple(pair for pair in filled if pair.principles)
    return PairsWithPrinciples(kept, len(filled) - len(kept))


def _key(pair: PreferencePair) -> tuple[str, str]:
    source = pair.source if isinstance(pair.source, str) else data_url(pair.source)
    return source, pair.instruction


def _row(key: tuple[str, str], text: str, profile: PromptProfile) -> StoredPrinciples:
    try:
        return StoredPrinciples(source=key[0], instruction=key[1], principles=profile.parse_principles(text))
    except DecompositionError as error:
        return StoredPrinciples(source=key[0], instruction=key[1], problem=str(error))


def _stored(store: Path) -> list[StoredPrinciples]:
    """The store's rows. A last line that a kill cut short is cut away, so that it is written again."""
    if not store.exists():
        return []
    text = store.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        store.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    return list(read_rows(store, StoredPrinciples))
