"""How right the labels of a training set are, where the truth is known: verify rows of the shapes world."""

from collections.abc import Iterable

from edit_rrm.intervals import Share
from edit_rrm.traces import parse_trace
from edit_rrm_shapes.world.dataset import SAME_ZONE
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.errors import TrainingError
from edit_rrm_training.evaluation.metrics import JudgedVerdict, pairwise, verdict_shares


def label_shares(rows: Iterable[SftRow]) -> dict[str, Share]:
    """The share of right verdicts by category and truth, and of pairs that the scores order as utility does.

    Raises TrainingError for a row that is no verification of a `shapes:` picture with its own principles.
    """
    verdicts: list[JudgedVerdict] = []
    scores: dict[str, list[tuple[float | None, float]]] = {}
    for row in rows:
        picture = ShapesRef.parse(row.candidate) if row.candidate is not None else None
        if row.principles is None or picture is None or picture.candidate is None:
            raise TrainingError(f"row {row.id}: not a verification of a shapes:SEED/INDEX/CANDIDATE")
        edit = picture.edit()
        candidate = edit.candidates[picture.candidate]
        gold = {
            check.question: finding.met
            for check, finding in zip(edit.checks, candidate.findings, strict=True)
        }
        trace = parse_trace(row.completion, len(row.principles))
        for principle, verdict in zip(row.principles, trace.verdicts, strict=True):
            if principle.question not in gold:
                raise TrainingError(f"row {row.id}: edit {edit.id} has no principle {principle.question!r}")
            verdicts.append(JudgedVerdict(principle.category, gold[principle.question], verdict.met))
        scores.setdefault(edit.id, []).append((trace.score, candidate.utility))
    shares = {f"right verdicts, {name}": value for name, value in verdict_shares(verdicts).items()}
    shares["pairs in the order of utility"] = pairwise(list(scores.values()), SAME_ZONE).accuracy
    return shares
