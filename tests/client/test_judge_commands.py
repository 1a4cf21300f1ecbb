"""`edit-rrm judges` at a terminal: what is printed where, and the exit codes scripts rely on."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edit_rrm.judges.shelf import find_judge
from edit_rrm_client import cli
from edit_rrm_client.judges import commands

PAIR = """name = "pair"
reward = "min(success, clean)"
[[asks]]
name = "semantics"
[[asks.messages]]
role = "user"
parts = [{ image = "source" }, { image = "candidate" }, "[bold]Asked for[/bold]: {instruction}"]
[asks.answer]
form = "json_scores"
range = [0, 20]
subscores = ["success"]
[[asks]]
name = "quality"
[[asks.messages]]
role = "user"
parts = ["Is it clean?", { image = "candidate" }]
[asks.answer]
form = "labelled_scores"
range = [1, 5]
labels = { clean = ["Clean"] }
"""
DIGIT = 'SCORE_LOGIT = """Asked for: {prompt}\nNeeded: {requirement}\n0-5"""\n'


@pytest.fixture
def pair(tmp_path: Path) -> str:
    (tmp_path / "pair.toml").write_text(PAIR)
    return str(tmp_path / "pair.toml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "Edit-R1"
    (folder / "reward_server").mkdir(parents=True)
    (folder / "reward_server" / "prompt_template.py").write_text(DIGIT)
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> "type[Run]":
    monkeypatch.setenv("COLUMNS", "200")
    return Run


class Run:
    """`edit-rrm judges …`, run when made."""

    def __new__(cls, *arguments: str) -> Result:  # type: ignore[misc]
        return CliRunner().invoke(cli.app, ["judges", *arguments])


def test_list_shows_ours_and_what_can_be_imported(run: type[Run]) -> None:
    result = run("list")
    assert result.exit_code == 0
    for words in (
        "three_scores",
        "json_scores",
        "geometric_mean(follow, keep, quality)",
        "needed",
        "aggregator soft",
    ):
        assert words in result.stdout
    for words in ("editscore", "VectorSpaceLab/EditScore", "imgedit-style"):
        assert words in result.stdout


def test_a_package_s_broken_judge_hides_no_other(run: type[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "judge_names", lambda: ("digit", "theirs"))
    result = run("list")
    assert result.exit_code == 0
    assert "digit_expectation" in result.stdout
    assert "edit-rrm: theirs: there is no judge 'theirs'" in result.stderr


def test_show_prints_messages_images_and_reward_as_they_stand(run: type[Run], pair: str) -> None:
    result = run("show", pair)
    assert result.exit_code == 0
    for words in (
        'ask semantics   JSON "score", 0 to 20: success',
        "[image: source]",
        "[image: candidate]",
        "[bold]Asked for[/bold]: Make the red car blue.",
        "ask quality   labelled lines, 1 to 5: clean",
        "min(success, clean)",
        "none are taken",
    ):
        assert words in result.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digit", "one digit, 0 to 5, by expectation: edit"),
        ("principles_yes_no", "ask principle (once for every principle)   yes or no, by probability"),
        ("zero_shot", "aggregator of the checkpoint"),
    ],
)
def test_show_knows_every_form(run: type[Run], name: str, words: str) -> None:
    assert words in run("show", name).stdout


def test_check_reads_answers_in_the_order_of_the_asks(run: type[Run], pair: str) -> None:
    result = run("check", pair, "--answer", '{"score": 15}', "--answer", "Clean: 3")
    assert result.exit_code == 0
    assert "success 0.75" in result.stdout
    assert "clean 0.5" in result.stdout
    assert "reward 0.5   score 5/10" in result.stdout
    assert "the candidate stands before" in result.stdout


def test_check_reads_answers_by_name_and_from_files(run: type[Run], pair: str, tmp_path: Path) -> None:
    (tmp_path / "answer.txt").write_text("Clean: 5\n")
    result = run("check", pair, "--answer", f"quality={tmp_path / 'answer.txt'}")
    assert result.exit_code == 0
    assert "clean 1" in result.stdout
    assert "no reward: no answer for semantics" in result.stdout


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [("digit", "4", "reward 0.8"), ("principles_yes_no", "no", "not met, not met, not met")],
)
def test_check_takes_a_single_token_as_certain(run: type[Run], name: str, answer: str, words: str) -> None:
    result = run("check", name, "--answer", answer)
    assert result.exit_code == 0
    if name == "digit":
        assert words in result.stdout
    else:
        assert "not met" in result.stdout
        assert "reward 0 " in result.stdout


def test_an_answer_that_cannot_be_read_exits_with_1(run: type[Run], pair: str) -> None:
    result = run("check", pair, "--answer", "quality=Clean: 7")
    assert result.exit_code == 1
    assert result.stderr == "edit-rrm: the answer cannot be read: clean is 7, outside [1, 5]\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--answer", "quality=Clean: 3", "--answer", "quality=Clean: 4"],
            "two answers for the ask 'quality'",
        ),
        (["--answer", "a", "--answer", "b", "--answer", "c"], "3 answers for 2 asks: semantics, quality"),
    ],
)
def test_more_answers_than_asks_exit_with_2(
    run: type[Run], pair: str, arguments: list[str], words: str
) -> None:
    result = run("check", pair, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_file_that_is_no_judge_exits_with_2_and_names_its_fields(run: type[Run], tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(PAIR.replace("[0, 20]", "[20, 0]").replace("min(", "median("))
    result = run("check", str(tmp_path / "bad.toml"))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "bad.toml is no judge: asks.0.answer" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    for command in ("check", "show"):
        assert "there is no judge 'nobody'" in run(command, "nobody").stderr


def test_import_prints_the_file_or_puts_it_beside_the_checkpoint(
    run: type[Run], checkout: Path, tmp_path: Path
) -> None:
    printed = run("import", "edit-r1", "--from", str(checkout))
    assert printed.exit_code == 0
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    written = run("import", "edit-r1", "--from", str(checkout), "--out", str(checkpoint))
    assert written.exit_code == 0
    assert (checkpoint / "judge.toml").read_text() == printed.stdout
    assert written.stdout.startswith(f"{checkpoint / 'judge.toml'}: edit-r1 ")
    assert "the candidate stands before" in written.stderr
    assert find_judge(str(checkpoint / "judge.toml")).name == "edit-r1"


def test_import_replaces_no_file_unless_told_to(run: type[Run], checkout: Path, tmp_path: Path) -> None:
    arguments = ("import", "edit-r1", "--from", str(checkout), "--out", str(tmp_path / "judge.json"))
    assert run(*arguments).exit_code == 0
    assert json.loads((tmp_path / "judge.json").read_text())["name"] == "edit-r1"
    again = run(*arguments)
    assert again.exit_code == 2
    assert "is there already; --force replaces it" in again.stderr
    assert run(*arguments, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("name", "out", "words"),
    [
        ("hpsv3", "x.toml", "no importer is called 'hpsv3'"),
        ("editscore", "x.toml", "has no editscore/vie_prompts.py"),
        ("edit-r1", "x.yaml", "written as .toml or .json, got x.yaml"),
        ("edit-r1", "none/x.toml", "cannot write"),
    ],
)
def test_what_cannot_be_imported_exits_with_2(
    run: type[Run], checkout: Path, tmp_path: Path, name: str, out: str, words: str
) -> None:
    result = run("import", name, "--from", str(checkout), "--out", str(tmp_path / out))
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / out).exists()


def test_every_command_tells_how_it_is_used(run: type[Run]) -> None:
    for command in ("list", "show", "check", "import"):
        assert run(command, "--help").exit_code == 0
    assert "--answer" in run("check", "--help").stdout
