"""Evaluates a judge on edits with gold verdicts: traces, verdicts, pairs, decompositions."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from edit_rrm.intervals import Share, share
from edit_rrm_training.data.gold_edits import GoldEdit
from edit_rrm_training.evaluation.judging import Decomposition, Drawing, Judge, Opinion, Question
from edit_rrm_training.evaluation.metrics import JudgedVerdict, pairwise, verdict_shares

CHUNK = 64


@dataclass(frozen=True)
class JudgedEdit:
    """An edit with what a judge makes of it; `warm` are opinions from several samples, where asked for."""

    edit: GoldEdit
    opinions: tuple[Opinion, ...]
    decomposition: Decomposition
    warm: tuple[Opinion, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """The headline measures by name, and what they were measured on."""

    shares: dict[str, Share]
    edits: int
    candidates: int
    data: str
    """Which edits, for whoever reads the numbers."""
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "data": self.data, "edits": self.edits, "candidates": self.candidates,
            "seconds": round(self.seconds, 1),
            "measures": {name: value.as_dict() for name, value in self.shares.items()},
        }  # fmt: skip

    def markdown(self) -> str:
        """A table of the measures."""
        return share_table("measure", self.shares)


def share_table(heading: str, shares: dict[str, Share]) -> str:
    """Shares as a Markdown table with their intervals."""
    rows = [f"| {heading} | value | 95 % interval | n |", "|---|---|---|---|"]
    for name, value in shares.items():
        low, high = value.interval
        rows.append(f"| {name} | {value.value:.3f} | {low:.3f} – {high:.3f} | {value.total} |")
    return "\n".join(rows)


def question_of(edit: GoldEdit) -> Question:
    """An edit with its gold principles."""
    pictures = tuple(candidate.picture() for candidate in edit.candidates)
    return Question(edit.instruction, edit.source(), pictures, edit.principles)


def judge_edits(judge: Judge, edits: Sequence[GoldEdit], warm: Drawing | None = None) -> list[JudgedEdit]:
    """Decomposes every edit and judges its candidates with the gold principles; `warm` draws more samples."""
    questions = [question_of(edit) for edit in edits]
    decomposed = judge.decompose(questions)
    opinions = judge.judge(questions, Drawing())
    warm_ones = judge.judge(questions, warm) if warm is not None else [()] * len(edits)
    return [JudgedEdit(*item) for item in zip(edits, opinions, decomposed, warm_ones, strict=True)]


def judged_verdicts(judged: Sequence[JudgedEdit]) -> list[JudgedVerdict]:
    """Every verdict beside the truth."""
    return [
        JudgedVerdict(principle.category, gold, None if opinion.met is None else opinion.met[place])
        for item in judged
        for candidate, opinion in zip(item.edit.candidates, item.opinions, strict=True)
        for place, (principle, gold) in enumerate(zip(item.edit.principles, candidate.verdicts, strict=True))
    ]


def scores_and_utilities(
    item: JudgedEdit, opinions: Sequence[Opinion], samples: int | None = None
) -> list[tuple[float | None, float]]:
    """(score or None, gold utility) of the candidates of an edit that have a utility."""
    return [
        (opinion.score(samples), candidate.utility)
        for candidate, opinion in zip(item.edit.candidates, opinions, strict=True)
        if candidate.utility is not None
    ]


def measure(judged: Sequence[JudgedEdit], *, verdicts: bool, same_zone: float) -> dict[str, Share]:
    """The headline measures of judged edits; without `verdicts` those of a scorer.

    Pairs whose utilities differ by less than `same_zone` are left out; edits without utilities have none.
    """
    parsed = share(opinion.score() is not None for item in judged for opinion in item.opinions)
    shares = {"traces that parse": parsed}
    if verdicts:
        for name, value in verdict_shares(judged_verdicts(judged)).items():
            shares[f"verdict accuracy, {name}"] = value
    pairs = pairwise([scores_and_utilities(item, item.opinions) for item in judged], same_zone)
    shares["pairwise accuracy, score"] = pairs.accuracy
    shares["pairs tied by score"] = pairs.ties
    gold = [
        [(c.score, c.utility) for c in item.edit.candidates if c.score is not None and c.utility is not None]
        for item in judged
    ]
    shares["pairwise accuracy, gold score (ceiling of the verdicts)"] = pairwise(gold, same_zone).accuracy
    if verdicts:
        shares["decompositions that validate"] = share(bool(item.decomposition.principles) for item in judged)
    return {name: value for name, value in shares.items() if value.total}


MoreMeasures = Callable[[Sequence[JudgedEdit]], dict[str, Share]]


def evaluate(
    judge: Judge,
    edits: Iterable[GoldEdit],
    *,
    data: str,
    same_zone: float = 0.0,
    warm: Drawing | None = None,
    more: MoreMeasures = lambda judged: {},
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Evaluation, list[JudgedEdit]]:
    """Measures a judge on edits; `data` names them, `more` adds measures that only their maker can take.

    `progress` hears how many are done.
    """
    begun = time.perf_counter()
    judged: list[JudgedEdit] = []
    for chunk in _chunks(edits):
        judged += judge_edits(judge, chunk, warm)
        progress(len(judged))
    verdicts = judge.gives_verdicts
    shares = {**measure(judged, verdicts=verdicts, same_zone=same_zone), **(more(judged) if verdicts else {})}
    candidates = sum(len(item.edit.candidates) for item in judged)
    return Evaluation(shares, len(judged), candidates, data, time.perf_counter() - begun), judged


def _chunks(edits: Iterable[GoldEdit]) -> Iterator[list[GoldEdit]]:
    rest = iter(edits)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
