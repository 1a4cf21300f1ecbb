"""Results as a service would give them, from the shapes world's gold verdicts: realistic rows in bulk."""

import io
import random
from collections.abc import Iterator

from PIL import Image

from edit_rrm_client.bulk.rows import ResultRow, RowGuard, RowVerdict
from edit_rrm_shapes.world.dataset import Candidate, EditRecord, make_edit

FAILED_EVERY = 97


def shape_rows(edits: int, candidates: int = 4, seed: int = 7) -> Iterator[ResultRow]:
    """`edits` times `candidates` rows with images; every 97th failed. Same seed, same rows."""
    rng = random.Random(seed)
    number = 0
    for index in range(edits):
        edit = make_edit(seed, index, candidates)
        source = png(edit.picture())
        for place, candidate in enumerate(edit.candidates):
            number += 1
            yield _row(edit, candidate, place, source, failed=number % FAILED_EVERY == 0, rng=rng)


def png(picture: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _row(
    edit: EditRecord, candidate: Candidate, place: int, source: bytes, *, failed: bool, rng: random.Random
) -> ResultRow:
    verdicts = tuple(
        RowVerdict(
            principle=f"p{n}",
            question=check.question,
            category=check.category,
            weight=1.0,
            met=finding.met,
            probability=round(rng.uniform(0.55, 1.0) if finding.met else rng.uniform(0.0, 0.45), 3),
            evidence=finding.evidence,
        )
        for n, (check, finding) in enumerate(zip(edit.checks, candidate.findings, strict=True), start=1)
    )
    means = {
        category: sum(v.met for v in verdicts if v.category == category)
        / max(1, sum(v.category == category for v in verdicts))
        for category in ("follow", "keep", "quality")
    }
    trace = "\n".join(f"{n}. {v.evidence} => {int(v.met)}" for n, v in enumerate(verdicts, start=1))
    average = sum(v.met for v in verdicts) / len(verdicts)
    outcome = {
        "reward": candidate.score / 10,
        "score": candidate.score,
        "average": average,
        **means,
        "disagreement": round(rng.choice((0.0, 0.0, rng.uniform(0.1, 1.5))), 3),
        "verdicts": verdicts,
        "guards": (RowGuard(name="no_edit", triggered=candidate.score == 0.0, value=0.31),),
        "reasoning": f"{trace}\naverage {average:.2f}\n<score>{candidate.score:g}</score>",
    }
    failure = {"error_code": "trace_unparseable", "error_detail": "no score was found in the trace"}
    return ResultRow.model_validate({
        "key": f"{edit.id}/{candidate.editor}/{place}",
        "id": edit.id,
        "candidate": place,
        "model": candidate.editor,
        "category": edit.request.category,
        "instruction": edit.request.instruction,
        "source_image": source,
        "edited_image": png(candidate.picture()),
        "status": "error" if failed else "ok",
        "rrm": "edit-rrm-tiny@0123456789ab",
        "principles_from": "model",
        "total_s": round(rng.uniform(0.2, 1.5), 3),
        **(failure if failed else outcome),
    })  # fmt: skip
