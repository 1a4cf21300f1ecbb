"""Evaluates a judge on held-out edits of the shapes world: traces, verdicts, pairs, decompositions."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edit_rrm.principles import Category, numbered
from edit_rrm_shapes.world.dataset import SAME_ZONE, EditRecord, make_edit
from edit_rrm_training.evaluation.judging import Decomposition, Drawing, Judge, Opinion, Question
from edit_rrm_training.evaluation.metrics import JudgedVerdict, Share, pairwise, share, verdict_shares

CHUNK = 64


@dataclass(frozen=True)
class JudgedEdit:
    """An edit with what a judge makes of it; `warm` are opinions from several samples, where asked for."""

    edit: EditRecord
    opinions: tuple[Opinion, ...]
    decomposition: Decomposition
    warm: tuple[Opinion, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """The headline measures by name, and what they were measured on."""

    shares: dict[str, Share]
    edits: int
    candidates: int
    seed: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "seed": self.seed, "edits": self.edits, "candidates": self.candidates,
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


def question_of(edit: EditRecord) -> Question:
    """An edit with its gold principles."""
    principles = numbered((check.category, check.question) for check in edit.checks)
    pictures = tuple(candidate.picture() for candidate in edit.candidates)
    return Question(edit.request.instruction, edit.picture(), pictures, principles)


def judge_edits(judge: Judge, edits: Sequence[EditRecord], warm: Drawing | None = None) -> list[JudgedEdit]:
    """Decomposes every edit and judges its candidates with the gold principles; `warm` draws more samples."""
    questions = [question_of(edit) for edit in edits]
    decomposed = judge.decompose(questions)
    opinions = judge.judge(questions, Drawing())
    warm_ones = judge.judge(questions, warm) if warm is not None else [()] * len(edits)
    return [JudgedEdit(*item) for item in zip(edits, opinions, decomposed, warm_ones, strict=True)]


def judged_verdicts(judged: Sequence[JudgedEdit]) -> list[JudgedVerdict]:
    """Every verdict beside the truth."""
    return [
        JudgedVerdict(check.category, finding.met, None if opinion.met is None else opinion.met[place])
        for item in judged
        for candidate, opinion in zip(item.edit.candidates, item.opinions, strict=True)
        for place, (check, finding) in enumerate(zip(item.edit.checks, candidate.findings, strict=True))
    ]


def scores_and_utilities(
    item: JudgedEdit, opinions: Sequence[Opinion], samples: int | None = None
) -> list[tuple[float | None, float]]:
    """(score or None, gold utility) of an edit's candidates."""
    return [
        (opinion.score(samples), candidate.utility)
        for candidate, opinion in zip(item.edit.candidates, opinions, strict=True)
    ]


def _follow_questions(principles: Sequence[tuple[Category, str]]) -> set[str]:
    return {question for category, question in principles if category is Category.FOLLOW}


def _decomposition_shares(judged: Sequence[JudgedEdit]) -> dict[str, Share]:
    """`names the edited thing`: every follow question says the right thing, place and property."""
    valid, named, exact = [], [], []
    for item in judged:
        written = item.decomposition.principles or ()
        gold = [(check.category, check.question) for check in item.edit.checks]
        asked = [(p.category, p.question) for p in written]
        valid.append(bool(written))
        named.append(_follow_questions(asked) == _follow_questions(gold))
        exact.append(asked == gold)
    return {
        "decompositions that validate": share(valid),
        "decompositions that name the edited thing": share(named),
        "decompositions equal to gold": share(exact),
    }


def measure(judged: Sequence[JudgedEdit], *, verdicts: bool) -> dict[str, Share]:
    """The headline measures of judged edits; without `verdicts` those of a scorer."""
    parsed = share(opinion.score() is not None for item in judged for opinion in item.opinions)
    shares = {"traces that parse": parsed}
    if verdicts:
        for name, value in verdict_shares(judged_verdicts(judged)).items():
            shares[f"verdict accuracy, {name}"] = value
    pairs = pairwise([scores_and_utilities(item, item.opinions) for item in judged], SAME_ZONE)
    shares["pairwise accuracy, score"] = pairs.accuracy
    shares["pairs tied by score"] = pairs.ties
    gold = [[(c.score, c.utility) for c in item.edit.candidates] for item in judged]
    shares["pairwise accuracy, gold score (ceiling of the verdicts)"] = pairwise(gold, SAME_ZONE).accuracy
    return {**shares, **_decomposition_shares(judged)} if verdicts else shares


def evaluate(
    judge: Judge,
    *,
    seed: int,
    count: int,
    candidate_count: int = 4,
    warm: Drawing | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Evaluation, list[JudgedEdit]]:
    """Measures a judge on `count` edits of world `seed`; `progress` hears how many are done."""
    begun = time.perf_counter()
    judged: list[JudgedEdit] = []
    for start in range(0, count, CHUNK):
        edits = [make_edit(seed, i, candidate_count) for i in range(start, min(start + CHUNK, count))]
        judged += judge_edits(judge, edits, warm)
        progress(len(judged))
    shares = measure(judged, verdicts=judge.gives_verdicts)
    return Evaluation(shares, count, candidate_count, seed, time.perf_counter() - begun), judged
