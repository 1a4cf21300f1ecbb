"""Rows of results for tests: a scored one, and one that failed."""

from typing import Any

from edit_rrm.principles import Category
from edit_rrm_client.bulk.rows import ResultRow, RowGuard, RowVerdict


def scored_row(edit: str = "e1", reward: float = 0.5, **changes: Any) -> ResultRow:
    """A row with one verdict and one guard; its key is made of edit, model and candidate."""
    fields: dict[str, Any] = {
        "id": edit,
        "candidate": 0,
        "model": "flux",
        "instruction": "make it blue",
        "source": "s.png",
        "edited": "e.png",
        "status": "ok",
        "reward": reward,
        "score": 10 * reward,
        "average": 1.0,
        "follow": 1.0,
        "disagreement": 0.0,
        "verdicts": (
            RowVerdict(
                principle="p1",
                question="Is it blue?",
                category=Category.FOLLOW,
                weight=1.0,
                met=True,
                probability=0.9,
                evidence="blue/blue",
            ),
        ),
        "guards": (RowGuard(name="no_edit", triggered=False, value=0.3),),
        "rrm": "tiny@0123456789ab",
        "principles_from": "model",
        "total_s": 0.25,
        **changes,
    }
    fields.setdefault("key", f"{fields['id']}/{fields['model']}/{fields['candidate']}")
    return ResultRow(**fields)


def failed_row(edit: str = "e1", code: str = "trace_unparseable", **changes: Any) -> ResultRow:
    """A row without a reward."""
    nothing = dict.fromkeys(("reward", "score", "average", "follow", "disagreement"))
    error = {"status": "error", "error_code": code, "error_detail": "why", "verdicts": ()}
    return ResultRow.model_validate({**scored_row(edit, **changes).model_dump(), **nothing, **error})
