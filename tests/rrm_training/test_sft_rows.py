"""SFT rows: what fits a task, and the prompt each becomes."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edit_rrm.errors import TraceError
from edit_rrm.judges import get_profile
from edit_rrm.principles import numbered
from edit_rrm.prompts import ImageSlot
from edit_rrm_training.data.score_only import parse_score, render_score
from edit_rrm_training.data.sft_rows import SftRow, prompt_of, read_sft_rows
from edit_rrm_training.errors import RowError

PRINCIPLES = numbered([("follow", "Is it blue?")])
COMMON: dict[str, Any] = {"id": "a", "instruction": "make it blue", "source": "s.png", "completion": "text"}


def row(task: str, **fields: Any) -> SftRow:
    return SftRow(task=task, **{**COMMON, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "fields", "complaint"),
    [
        ("verify", {"candidate": "c.png"}, "a verify row needs principles"),
        ("verify", {"principles": PRINCIPLES}, "a verify row needs candidate"),
        ("decompose", {"candidate": "c.png"}, "a decompose row has no candidate"),
        (
            "score_only",
            {"candidate": "c.png", "principles": PRINCIPLES},
            "a score_only row has no principles",
        ),
    ],
)
def test_a_row_that_does_not_fit_its_task_is_refused(
    task: str, fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        row(task, **fields)


def test_each_task_has_the_prompt_it_is_served_with() -> None:
    profile = get_profile("trained")
    verify = row("verify", candidate="c.png", principles=PRINCIPLES)
    assert prompt_of(verify, profile) == profile.verify("make it blue", PRINCIPLES)
    assert prompt_of(row("decompose"), profile) == profile.decompose("make it blue", seed=0)
    scorer = prompt_of(row("score_only", candidate="c.png"), profile)
    assert scorer.slots == (ImageSlot.SOURCE, ImageSlot.CANDIDATE)
    assert "blue?" not in str(scorer)


def test_rows_survive_their_file_and_bytes_become_text(tmp_path: Path) -> None:
    rows = [row("verify", candidate=b"\xff\x00", principles=PRINCIPLES), row("decompose", id="b")]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(r.model_dump_json() for r in rows) + "\n")
    verify, decompose = read_sft_rows(path)
    assert verify.candidate == "data:image/png;base64,/wA="
    assert decompose == rows[1]


def test_a_bad_row_is_named_by_file_row_and_field(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = row("decompose").model_dump_json()
    path.write_text(f"{good}\n{good.replace('make it blue', '')}\n")
    with pytest.raises(RowError) as caught:
        list(read_sft_rows(path))
    assert (caught.value.path, caught.value.row, caught.value.field) == (path, 2, "instruction")


def test_a_score_alone_is_read_strictly() -> None:
    assert parse_score(render_score(7.25)) == pytest.approx(7.2)
    for text in ("<score>11</score>", "7.0", "clean => 1\n<score>7.0</score>", "<score>7.0</score> or so"):
        with pytest.raises(TraceError):
            parse_score(text)
