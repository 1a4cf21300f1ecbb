"""The command line of the miniature."""

from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from edit_rrm_shapes.cli.app import app

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
