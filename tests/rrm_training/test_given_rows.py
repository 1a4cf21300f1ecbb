"""Rows as people have them become SFT rows, or are refused with the reason."""

from pathlib import Path
from typing import Any

import pytest
from row_files import LIST, PRINCIPLES, TRACE, decompose, jsonl, verify

from edit_rrm_training.data.given_rows import given_rows
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.errors import RowError

PLAIN = [{"category": p["category"], "question": p["question"]} for p in PRINCIPLES]
JUDGED: dict[str, Any] = {
    "instruction": "make 0 blue", "source": "0.png", "candidate": "c.png", "principles": PLAIN,
    "verdicts": [1, 1, 0], "evidence": ["it is", "it is", "a smear"], "score": 6.5,
}  # fmt: skip


def read(tmp_path: Path, *rows: object) -> list[SftRow | RowError]:
    return [row for _, row in given_rows(jsonl(tmp_path / "mine.jsonl", *rows))]


def test_verdicts_become_a_trace_and_their_principles_a_decomposition(tmp_path: Path) -> None:
    judged, listed = read(tmp_path, JUDGED)
    assert isinstance(judged, SftRow)
    assert (judged.id, judged.task, judged.completion) == ("verify:mine-1-0", "verify", TRACE)
    assert [p.id for p in judged.principles or ()] == ["p1", "p2", "p3"]
    assert isinstance(listed, SftRow)
    assert (listed.id, listed.task, listed.completion) == ("decompose:mine-1", "decompose", LIST)
    assert (listed.candidate, listed.principles) == (None, None)


def test_verdicts_without_reasons_have_none_and_long_reasons_stand_in_one_line(tmp_path: Path) -> None:
    bare, _ = read(tmp_path, {**JUDGED, "evidence": None})
    assert isinstance(bare, SftRow)
    assert bare.completion == "1. - => 1\n2. - => 1\n3. - => 0\naverage 0.67\n<score>6.5</score>"
    long, _ = read(tmp_path, {**JUDGED, "evidence": ["a\n b", " ", "c"]})
    assert isinstance(long, SftRow)
    assert long.completion.split("\n")[:3] == ["1. a b => 1", "2. - => 1", "3. c => 0"]


def test_an_edit_with_gold_verdicts_gives_a_row_a_candidate_and_a_decomposition(tmp_path: Path) -> None:
    candidates = [{"image": f"{n}.png", "verdicts": [1, 0, 1], "score": n, "utility": 0.5} for n in (3, 4)]
    edit = {"id": 5, "category": "colour", "instruction": "x", "source": "s.png", "principles": PLAIN,
            "candidates": candidates, "anything": "else"}  # fmt: skip
    found = [row for row in read(tmp_path, edit) if isinstance(row, SftRow)]
    assert [row.id for row in found] == ["verify:5-0", "verify:5-1", "decompose:5"]
    assert [row.candidate for row in found] == ["3.png", "4.png", None]
    assert [row.completion[-18:] for row in found[:2]] == ["<score>3.0</score>", "<score>4.0</score>"]
    assert {row.category for row in found} == {"colour"}


def test_a_row_with_its_completion_is_taken_and_its_task_found(tmp_path: Path) -> None:
    rows = [verify(0), decompose(1), {**verify(2, completion="<score>4.0</score>"), "principles": None}]
    for row in rows:
        del row["task"], row["id"]
    found = [row for row in read(tmp_path, *rows) if isinstance(row, SftRow)]
    assert [(row.id, row.task) for row in found] == [
        ("mine-1", "verify"), ("mine-2", "decompose"), ("mine-3", "score_only")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (
            verify(0, completion="It looks fine."),
            "'completion': expected 5 lines for 3 principles, got 1",
        ),
        (verify(0, completion=TRACE.replace("6.5", "65")), "the score 65 lies outside"),
        (decompose(0, completion="1. follow: Is it?"), "no principle of category keep, quality"),
        (decompose(0, completion="- Is it?"), "line 1 is not"),
        ({**JUDGED, "verdicts": [1, 1]}, "expected verdicts for each of 3 principles, got 2"),
        ({**JUDGED, "evidence": ["one"]}, "expected evidence for each of 3 principles, got 1"),
        ({**JUDGED, "score": None}, "a row without a completion needs score"),
        ({**JUDGED, "score": 11}, "less than or equal to 10"),
        ({**JUDGED, "principles": None}, "expected a completion, or principles with verdicts"),
        ({**JUDGED, "instruction": " "}, "field 'instruction'"),
        ({**JUDGED, "principles": PLAIN[:1], "verdicts": [1], "evidence": None}, "no principle of category"),
        ("{", "row 1: Invalid JSON"),
    ],
)
def test_what_would_train_wrongly_is_refused_with_the_reason(
    row: object, problem: str, tmp_path: Path
) -> None:
    refused, kept = read(tmp_path, row, verify(1))
    assert isinstance(refused, RowError)
    assert problem in str(refused)
    assert isinstance(kept, SftRow)  # the next row is read
