"""Evaluates a judge on preference pairs: is the candidate that people preferred scored higher?

Every candidate is judged once, however many pairs it is in, up to 64 candidates of an edit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from edit_rrm.wire import MAX_CANDIDATES
from edit_rrm_training.data.pictures import load_image
from edit_rrm_training.data.preferences import PreferencePair, PreferencePairs
from edit_rrm_training.evaluation.evaluate import share_table
from edit_rrm_training.evaluation.judging import Drawing, Judge, Question
from edit_rrm_training.evaluation.metrics import PairOutcome, pair_outcome

CHUNK = 32


@dataclass(frozen=True)
class PairsEvaluation:
    """Accuracy over all pairs and by category; `same` pairs were left out."""

    overall: PairOutcome
    by_category: dict[str, PairOutcome]
    same: int

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "overall": self.overall.as_dict(),
            "by_category": {name: value.as_dict() for name, value in self.by_category.items()},
            "same_left_out": self.same,
        }

    def markdown(self) -> str:
        """A table of accuracies; ties count as wrong."""
        shares = {"all": self.overall.accuracy, "ties": self.overall.ties}
        shares |= {name: value.accuracy for name, value in self.by_category.items()}
        return share_table("pairwise accuracy", shares) + f"\n\n{self.same} pairs labelled 'same' left out."


@dataclass(frozen=True)
class _Edit:
    """The pairs of one (source, instruction, principles), and their candidates, each once."""

    pairs: tuple[PreferencePair, ...]
    candidates: tuple[str | bytes, ...]


def _edits(pairs: Sequence[PreferencePair]) -> list[_Edit]:
    """At most as many candidates each as one request may have."""
    open_ones: dict[object, tuple[list[PreferencePair], dict[str | bytes, None]]] = {}
    edits = []
    for pair in pairs:
        key = (pair.source, pair.instruction, pair.principles)
        group, pictures = open_ones.setdefault(key, ([], {}))
        both = dict.fromkeys((pair.preferred, pair.non_preferred))
        if len(pictures | both) > MAX_CANDIDATES:
            edits.append(_Edit(tuple(group), tuple(pictures)))
            group, pictures = open_ones[key] = ([], {})
        group.append(pair)
        pictures.update(both)
    return edits + [_Edit(tuple(group), tuple(pictures)) for group, pictures in open_ones.values()]


def evaluate_pairs(
    judge: Judge,
    data: PreferencePairs,
    base_dir: Path,
    *,
    drawing: Drawing | None = None,
    like_source: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> PairsEvaluation:
    """Judges the pairs; `like_source` resizes candidates to the source's size first, as EditScore does.

    `progress` hears how many pairs are done.
    """
    drawing = drawing or Drawing()
    scored: list[tuple[PreferencePair, float | None, float | None]] = []
    edits = _edits(data.pairs)
    for start in range(0, len(edits), CHUNK):
        chunk = edits[start : start + CHUNK]
        opinions = judge.judge([_question(edit, base_dir, like_source) for edit in chunk], drawing)
        for edit, judged in zip(chunk, opinions, strict=True):
            scores = {c: opinion.score() for c, opinion in zip(edit.candidates, judged, strict=True)}
            scored += [(pair, scores[pair.preferred], scores[pair.non_preferred]) for pair in edit.pairs]
        progress(len(scored))
    categories = sorted({pair.category for pair, _, _ in scored if pair.category is not None})
    by_category = {
        name: pair_outcome((one, other) for pair, one, other in scored if pair.category == name)
        for name in categories
    }
    return PairsEvaluation(pair_outcome((one, other) for _, one, other in scored), by_category, data.same)


def _question(edit: _Edit, base_dir: Path, like_source: bool) -> Question:
    first = edit.pairs[0]
    source = load_image(first.source, base_dir)

    def candidate(reference: str | bytes) -> Image.Image:
        picture = load_image(reference, base_dir)
        return picture.resize(source.size) if like_source and picture.size != source.size else picture

    return Question(
        first.instruction,
        source,
        tuple(candidate(reference) for reference in edit.candidates),
        first.principles,
    )
