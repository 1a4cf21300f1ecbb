"""The command line of the miniature."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from edit_rrm.checkpoint import write_card
from edit_rrm_shapes.cli.app import app
from edit_rrm_shapes.tiny_rrm.bundle import tiny_card, write_model_card

runner = CliRunner()


def test_shapes_generate_writes_a_dataset(tmp_path: Path) -> None:
    result = runner.invoke(app, ["generate", "--count", "2", "--seed", "3", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "edits.jsonl").read_text().splitlines()) == 2
    assert len(list((tmp_path / "images").iterdir())) == 2 * 5


def test_shapes_show_draws_a_sheet_with_every_picture(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    result = runner.invoke(app, ["show", "--count", "3", "--candidates", "2", "--out", str(out)])
    assert result.exit_code == 0, result.output
    with Image.open(out) as sheet:
        assert sheet.width == 20 + 300 * 3
        assert sheet.height > 3 * 250


def test_help_names_every_command() -> None:
    result = runner.invoke(app, ["--help"])
    assert all(name in result.output for name in ("generate", "tiny-rrm", "oracle", "reproduce-editor"))


@pytest.mark.parametrize(
    "words",
    [
        ["show", "--out", "file/sheet.png"],
        ["show", "--out", "sheet.txt"],
        ["generate", "--out", "file"],
        ["edits", "--out", "file/edits.jsonl"],
        ["pairs", "--seed", "1", "--out", "file/pairs.jsonl"],
        ["oracle", "--count", "1", "--out", "file/oracle.json"],
        ["evaluate", "--checkpoint", "edit-rrm-tiny", "--out", "file"],
        ["reproduce-rrm", "--list", "--out", "file"],
        ["reproduce-editor", "--list", "--out", "file"],
        ["tiny-base", "--out", "file"],
        ["tiny-editor", "--data", "file", "--out", "file"],
    ],
    ids=" ".join,
)
def test_an_out_that_cannot_be_written_is_said_before_the_work(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    ended = runner.invoke(app, words)
    assert ended.exit_code == 2
    assert isinstance(ended.exception, SystemExit)
    assert "not a folder" in ended.output or ".png" in ended.output


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "holds no row"), ("ä".encode("latin-1"), "expected UTF-8")]
)
def test_labels_of_nothing_that_can_be_read_are_refused(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "think.jsonl").write_bytes(content)
    ended = runner.invoke(app, ["labels", str(tmp_path / "think.jsonl")])
    assert ended.exit_code == 1
    assert what in ended.output


def test_results_do_not_overwrite_a_model_card_of_another_hand(tmp_path: Path) -> None:
    write_card(tmp_path, tiny_card("mine", {}))
    assert write_model_card(tmp_path, "FIRST") == tmp_path / "README.md"
    assert write_model_card(tmp_path, "SECOND") == tmp_path / "README.md"
    (tmp_path / "README.md").write_text("# mine\n\nWritten by hand.\n")
    assert write_model_card(tmp_path, "THIRD") == tmp_path / "RESULTS.md"
    assert (tmp_path / "README.md").read_text() == "# mine\n\nWritten by hand.\n"
    assert "THIRD" in (tmp_path / "RESULTS.md").read_text()
