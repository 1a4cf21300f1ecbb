"""Bad data is refused with file and row before anything is judged, and nothing is judged in vain."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from edit_rrm import plugins
from edit_rrm.checkpoint import read_card, write_card
from edit_rrm_shapes.tiny_rrm.bundle import tiny_card
from edit_rrm_training.cli import evaluate as commands
from edit_rrm_training.cli.app import app
from edit_rrm_training.evaluation.judging import Decomposition, Drawing, Opinion, Question

runner = CliRunner()
Row = dict[str, Any]


class Guess:
    """Judges everything met; counts what it was asked."""

    gives_verdicts = True

    def __init__(self) -> None:
        self.asked: list[Question] = []

    def decompose(self, questions: Sequence[Question]) -> list[Decomposition]:
        return [Decomposition("", None) for _ in questions]

    def judge(self, questions: Sequence[Question], drawing: Drawing) -> list[tuple[Opinion, ...]]:
        self.asked += questions
        return [
            tuple(Opinion((float(n),), (True,) * len(q.principles or ())) for n, _ in enumerate(q.candidates))
            for q in questions
        ]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Guess:
    """In the place of a checkpoint or service."""
    made = Guess()
    monkeypatch.setattr(commands, "judge_of", lambda *options: made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With pictures; `edits.jsonl` is each test's."""
    for name in ("source", "one", "two"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / f"{name}.png")
    return tmp_path


def edit(name: str = "e1", **changes: Any) -> Row:
    """A row that fits, but for `changes`."""
    candidates = [{"image": f"{n}.png", "verdicts": [1], "utility": u} for n, u in (("one", 1), ("two", 2))]
    principles = [{"question": "Is the car blue?", "category": "follow"}]
    return {"id": name, "instruction": "make it blue", "source": "source.png", "principles": principles,
            "candidates": candidates, **changes}  # fmt: skip


def pair(name: str = "p1", **changes: Any) -> Row:
    """The same of preference pairs."""
    return {"id": name, "instruction": "make it blue", "source": "source.png", "preferred": "one.png",
            "non_preferred": "two.png", "label": "prefer", **changes}  # fmt: skip


def lines(*rows: Row) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def told(*words: str | Path) -> str:
    """What a command says that must end with a message, on one line."""
    ended = runner.invoke(app, [str(word) for word in words], env={"COLUMNS": "1000"})
    assert ended.exit_code in (1, 2), ended.output
    assert isinstance(ended.exception, SystemExit)
    return " ".join(ended.output.replace("│", " ").split())


def evaluated(folder: Path, *more: str) -> tuple[str, ...]:
    return ("evaluate", "--edits", str(folder), "--url", "http://nobody.invalid", *more)


P = {"question": "Is it?", "category": "keep"}
WRONG: dict[str, tuple[Row, str]] = {
    "two principles with one id": (edit(principles=[{"id": "p", **P}] * 2), "two principles have the id 'p'"),
    "too many principles": (edit(principles=[P] * 33), "at most 32 items"),
    "too many candidates": (edit(candidates=[edit()["candidates"][0]] * 65), "at most 64 items"),
    "a long instruction": (edit(instruction="x" * 4001), "at most 4000 characters"),
    "a blank instruction": (edit(instruction=" \n"), "instruction"),
    "a NUL in a path": (edit(source="a\0b.png"), "NUL"),
    "no such picture": (edit(source="none.png"), "field 'source': the picture 'none.png' of edit 'e1'"),
    "a broken picture": (edit(source="edits.jsonl"), "the picture 'edits.jsonl' of edit 'e1'"),
    "a broken data URL": (edit(source="data:image/png;base64,x"), "no base64"),
    "a scheme that nothing draws": (edit(source="blobs:11/0/source"), "no installed package draws blobs:"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_row_is_named_before_anything_is_judged(folder: Path, judge: Guess, kind: str) -> None:
    row, what = WRONG[kind]
    (folder / "edits.jsonl").write_text(lines(edit("e0"), row))
    said = told(*evaluated(folder))
    assert f"{folder / 'edits.jsonl'}, row 2".replace(" ", "") in said.replace(" ", "")
    assert what.replace(" ", "") in said.replace(" ", "")
    assert not judge.asked


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"preferred": "none.png"}, "field 'preferred': the picture 'none.png' of pair 'p2'"),
        ({"source": "shape:1/0/source"}, "no installed package draws shape:"),
        ({"instruction": " "}, "instruction"),
        ({"principles": [{"id": "p", **P}] * 2}, "two principles have the id 'p'"),
    ],
)
def test_a_wrong_pair_is_named_before_anything_is_judged(
    folder: Path, judge: Guess, changes: Row, what: str
) -> None:
    (folder / "pairs.jsonl").write_text(lines(pair(), pair("p2", **changes)))
    said = told("evaluate-pairs", "--pairs", folder / "pairs.jsonl", "--url", "http://nobody.invalid")
    assert "pairs.jsonl,row2" in said.replace(" ", "")
    assert what.replace(" ", "") in said.replace(" ", "")
    assert not judge.asked


@pytest.mark.parametrize("rows", ["", lines(pair(label="same"))])
def test_nothing_to_judge_is_no_success(folder: Path, judge: Guess, rows: str) -> None:
    (folder / "edits.jsonl").write_text("\n")
    (folder / "pairs.jsonl").write_text(rows)
    assert "holds no edit" in told(*evaluated(folder))
    said = told("evaluate-pairs", "--pairs", folder / "pairs.jsonl", "--url", "http://nobody.invalid")
    assert "holds no pair with a preference" in said
    assert not judge.asked


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_another_encoding_is_named(folder: Path, judge: Guess, encoding: str) -> None:
    row = json.dumps(edit(instruction="größer"), ensure_ascii=False)
    (folder / "edits.jsonl").write_text(f"{row}\n", encoding=encoding)
    said = told(*evaluated(folder))
    assert "edits.jsonl" in said.replace(" ", "")  # the end of a line may cut a path
    assert encoding == "utf-16-le" or "expected UTF-8" in said


def test_a_byte_order_mark_is_let_be(folder: Path, judge: Guess) -> None:
    (folder / "edits.jsonl").write_text(lines(edit()), encoding="utf-8-sig")
    assert runner.invoke(app, evaluated(folder)).exit_code == 0
    assert len(judge.asked) == 1


@pytest.mark.parametrize("at", ["file/out", "file"])
def test_an_out_that_cannot_be_written_is_said_before_the_work(folder: Path, judge: Guess, at: str) -> None:
    (folder / "file").touch()
    (folder / "edits.jsonl").write_text(lines(edit()))
    (folder / "pairs.jsonl").write_text(lines(pair()))
    assert "a file, not a folder" in told(*evaluated(folder, "--out", str(folder / at)))
    out = folder if at == "file" else folder / at
    said = told(
        "evaluate-pairs", "--pairs", folder / "pairs.jsonl", "--url", "http://nobody.invalid", "--out", out
    )
    assert "folder" in said
    assert not judge.asked


@pytest.mark.parametrize("step", ["decompose", "candidates", "reason", "verify", "select", "run"])
def test_a_step_of_the_pipeline_asks_first_whether_it_can_write(tmp_path: Path, step: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "rows.jsonl").touch()
    options = {
        "decompose": ("edits",), "candidates": ("edits",), "reason": ("quadruples",),
        "verify": ("quadruples", "traces"), "select": ("decomposed", "quadruples", "traces", "gold"),
        "run": ("edits",),
    }[step]  # fmt: skip
    words = [word for name in options for word in (f"--{name}", str(tmp_path / "rows.jsonl"))]
    words += ["--editor", "folder=x"] if step in ("candidates", "run") else []
    words += ["--config", "none.toml"] if step not in ("candidates", "select") else []
    said = told("pipeline", step, *words, "--out", tmp_path / "file" / "out")
    assert "is a file, not a folder" in said


def test_results_are_recorded_in_a_checkpoint_that_is_named(
    folder: Path, judge: Guess, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = folder / "installed"
    registered.mkdir()
    write_card(registered, tiny_card("named", {}))
    monkeypatch.setattr(plugins, "names", lambda group: ["named"])
    monkeypatch.setattr(plugins, "load", lambda group, name: {"named": registered}[name])
    (folder / "edits.jsonl").write_text(lines(edit()))
    monkeypatch.chdir(folder)
    ended = runner.invoke(app, ["evaluate", "--edits", ".", "--checkpoint", "named", "--record"])
    assert ended.exit_code == 0, ended.output
    assert read_card(registered).training["results"]["edits"] == 1


def test_a_name_that_nobody_knows_lists_those_there_are(folder: Path) -> None:
    (folder / "edits.jsonl").write_text(lines(edit()))
    said = told("evaluate", "--edits", folder, "--checkpoint", "edit-rrm-huge")
    assert "there is no checkpoint edit-rrm-huge" in said
    assert "edit-rrm-tiny" in said
    assert "edit-rrm-shapes" in said


def test_a_configuration_that_nobody_knows_lists_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "edits.jsonl").touch()
    words = ("--edits", tmp_path / "edits.jsonl", "--out", tmp_path / "out.jsonl", "--config", "shape")
    said = told("pipeline", "decompose", *words)
    assert "configuration shape: no such file" in said
    assert "there are: shapes" in said


@pytest.mark.parametrize("address", ["nonsense", "localhost:8000", "ftp://host", "http://", "http://[x"])
def test_an_address_that_is_none_is_refused_at_once(folder: Path, address: str) -> None:
    (folder / "edits.jsonl").write_text(lines(edit()))
    said = told("evaluate", "--edits", folder, "--url", address)
    assert "expected an address like http://127.0.0.1:8000" in said


def test_more_candidates_than_a_request_holds_are_several_questions(folder: Path, judge: Guess) -> None:
    for number in range(70):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
    rows = [pair(f"p{n}", preferred=f"{n}.png", non_preferred="one.png") for n in range(70)]
    (folder / "pairs.jsonl").write_text(lines(*rows))
    words = ["evaluate-pairs", "--pairs", str(folder / "pairs.jsonl"), "--url", "http://nobody.invalid"]
    assert runner.invoke(app, words).exit_code == 0
    assert [len(question.candidates) for question in judge.asked] == [64, 8]
