"""Edits of the shapes world as evaluation takes them, and what only their maker can measure: the wording."""

from collections.abc import Callable, Iterator, Sequence

from edit_rrm.intervals import Share, share
from edit_rrm.principles import Category, Principle, numbered
from edit_rrm_shapes.world.dataset import SAME_ZONE, EditRecord, make_edit
from edit_rrm_training.data.gold_edits import GoldCandidate, GoldEdit
from edit_rrm_training.evaluation.evaluate import Evaluation, JudgedEdit, evaluate
from edit_rrm_training.evaluation.judging import Drawing, Judge


def gold_edit(edit: EditRecord) -> GoldEdit:
    """The edit with its truth; pictures are drawn when they are wanted."""
    return GoldEdit(
        edit.id, edit.request.category, edit.request.instruction, edit.picture,
        numbered((check.category, check.question) for check in edit.checks),
        tuple(
            GoldCandidate(c.picture, tuple(f.met for f in c.findings), c.score, c.utility)
            for c in edit.candidates
        ),
    )  # fmt: skip


def gold_edits(seed: int, count: int, candidate_count: int) -> Iterator[GoldEdit]:
    """The first `count` edits of world `seed`."""
    return (gold_edit(make_edit(seed, index, candidate_count)) for index in range(count))


def naming(judged: Sequence[JudgedEdit]) -> dict[str, Share]:
    """How decompositions are worded: here a question has one wording.

    `name the edited thing`: every follow question says the right thing, place and property.
    """
    named, exact = [], []
    for item in judged:
        written = item.decomposition.principles or ()
        named.append(_follow_questions(written) == _follow_questions(item.edit.principles))
        exact.append(_worded(written) == _worded(item.edit.principles))
    return {
        "decompositions that name the edited thing": share(named),
        "decompositions equal to gold": share(exact),
    }


def evaluate_on_world(
    judge: Judge,
    *,
    seed: int,
    count: int,
    candidate_count: int = 4,
    warm: Drawing | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Evaluation, list[JudgedEdit]]:
    """Measures a judge on `count` edits of world `seed`; `progress` hears how many are done."""
    return evaluate(
        judge, gold_edits(seed, count, candidate_count), data=f"world {seed}", same_zone=SAME_ZONE,
        warm=warm, more=naming, progress=progress,
    )  # fmt: skip


def _follow_questions(principles: Sequence[Principle]) -> set[str]:
    return {principle.question for principle in principles if principle.category is Category.FOLLOW}


def _worded(principles: Sequence[Principle]) -> list[tuple[Category, str]]:
    return [(principle.category, principle.question) for principle in principles]
