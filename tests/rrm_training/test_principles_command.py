"""`edit-rrm-train principles`: pairs get their principles, once an edit, whoever is asked."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edit_rrm.judges import TrainedProfile
from edit_rrm_training.cli import principles as command
from edit_rrm_training.cli.app import app
from edit_rrm_training.data.preferences import read_pairs
from edit_rrm_training.errors import EndpointError
from edit_rrm_training.evaluation.judging import Decomposition, Question

GOOD = "1. follow: Is it red?\n2. keep: Is the rest unchanged?\n3. quality: Is it clean?"
SERVER = ["--url", "http://127.0.0.1:8000"]


class Judge:
    """Decomposes every edit but those it is told to fail at; ends at the call number `ends_at`."""

    def __init__(self, *fails: str, ends_at: int | None = None) -> None:
        self.asked: list[str] = []
        self._fails = fails
        self._calls = 0
        self._ends_at = ends_at

    def decompose(self, questions: Sequence[Question]) -> list[Decomposition]:
        if self._calls == self._ends_at:
            raise EndpointError("unreachable", "the service went away")
        self._calls += 1
        self.asked += [question.instruction for question in questions]
        return [
            Decomposition("I would rather not.", None)
            if question.instruction in self._fails
            else Decomposition(GOOD, TrainedProfile().parse_principles(GOOD))
            for question in questions
        ]


def pairs_file(folder: Path, edits: int = 5) -> Path:
    """Two pairs an edit, the last edit's with principles; pictures in a folder beside the file."""
    (folder / "pictures").mkdir()
    rows = []
    for edit in range(edits):
        for name in ("source", "a", "b"):
            Image.new("RGB", (8, 8), (edit, 0, 0)).save(folder / "pictures" / f"{edit}-{name}.png")
        for number in range(2):
            row = {
                "id": f"{edit}/{number}",
                "instruction": f"edit {edit}",
                "source": f"pictures/{edit}-source.png",
                "preferred": f"pictures/{edit}-a.png",
                "non_preferred": f"pictures/{edit}-b.png",
                "label": "prefer",
            }
            if edit == edits - 1:
                row["principles"] = [{"id": "own", "question": "Is it mine?", "category": "follow"}]
            rows.append(row)
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def run(pairs: Path, out: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch, *more: str) -> Result:
    monkeypatch.setattr(command, "judge_of", lambda *_, **__: judge)
    return CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["principles", "--pairs", str(pairs), "--out", str(out), *SERVER, *more]
    )


def test_every_edit_is_asked_about_once_and_pictures_are_found_from_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    out, judge = tmp_path / "elsewhere" / "filled.jsonl", Judge()
    done = run(pairs_file(tmp_path), out, judge, monkeypatch, "--batch", "3")
    assert done.exit_code == 0, done.output
    assert "10 pairs with principles" in done.output
    assert judge.asked == [f"edit {number}" for number in range(4)]
    found = read_pairs(out).pairs
    assert [pair.id for pair in found] == [f"{edit}/{number}" for edit in range(5) for number in range(2)]
    assert (found[0].principles or ())[0].question == "Is it red?"
    assert [p.question for p in found[-1].principles or ()] == ["Is it mine?"]
    assert all((out.parent / str(pair.preferred)).is_file() for pair in found)
    assert [file.name for file in out.parent.iterdir()] == ["filled.jsonl"]


def test_what_cannot_be_decomposed_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "filled.jsonl"
    done = run(pairs_file(tmp_path), out, Judge("edit 1"), monkeypatch)
    assert done.exit_code == 0, done.output
    assert "2 left out" in done.output
    assert {pair.instruction for pair in read_pairs(out).pairs} == {"edit 0", "edit 2", "edit 3", "edit 4"}
    lines = (tmp_path / "filled.jsonl.left-out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["1/0", "1/1"]
    assert json.loads(lines[0])["problem"] == "I would rather not."


def test_a_break_costs_only_the_batch_that_was_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, out = pairs_file(tmp_path), tmp_path / "filled.jsonl"
    broken = run(pairs, out, Judge(ends_at=1), monkeypatch, "--batch", "2")
    assert (broken.exit_code, out.exists()) == (1, False)
    assert "the service went away" in broken.output
    judge = Judge()
    assert run(pairs, out, judge, monkeypatch, "--batch", "2").exit_code == 0
    assert judge.asked == ["edit 2", "edit 3"]
    assert len(read_pairs(out).pairs) == 10


def test_a_picture_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = pairs_file(tmp_path)
    (tmp_path / "pictures" / "2-source.png").unlink()
    done = run(pairs, tmp_path / "filled.jsonl", Judge(), monkeypatch, "--batch", "1")
    assert done.exit_code == 1
    assert "2-source.png" in done.output
    assert "pair '2/1'" in done.output or "pair '2/0'" in done.output


@pytest.mark.parametrize("options", [[], [*SERVER, "--checkpoint", "x"]])
def test_exactly_one_judge_is_named(tmp_path: Path, options: list[str]) -> None:
    out = str(tmp_path / "filled.jsonl")
    given = ["principles", "--pairs", str(pairs_file(tmp_path)), "--out", out, *options]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 2
    assert "--checkpoint" in done.output
