"""The command line of RRM training."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from edit_rrm.checkpoint import read_card
from edit_rrm_shapes.cli.app import app as shapes_app
from edit_rrm_training.cli.app import app
from guide_blocks import shown
from shapes_rows import pair, verify_row, write_lines

runner = CliRunner()


def test_evaluate_refuses_a_directory_that_is_no_trained_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "edits.jsonl").write_text("")
    result = runner.invoke(app, ["evaluate", "--edits", str(tmp_path), "--checkpoint", str(tmp_path)])
    assert result.exit_code == 2
    assert "rrm.json" in result.output


def test_help_names_every_command() -> None:
    result = runner.invoke(app, ["--help"])
    assert all(name in result.output for name in ("pipeline", "pairs", "sft", "gcpo", "evaluate"))


@pytest.mark.slow
def test_the_guide_s_commands_train_by_sft_and_gcpo(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a checkpoint of random weights, a step each."""
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "rows.jsonl", [verify_row(index) for index in range(2)])
    write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(2)])
    tiny = "--set dtype=float32 --set gradient_checkpointing=false --set equal_images=true --set workers=0"
    few = "--set traces=2 --set pairs_per_step=1 --set batch_per_device=4 --set max_trace_tokens=12"
    here = {
        "edit-rrm-server": "#",
        "base=edit-rrm-tiny-base-m": f"base={untrained}",
        "steps=2000 …": f"steps=1 {tiny} --set batch_per_device=2",
        "steps=300 …": f"steps=1 {tiny} {few}",
    }
    for _, *words in shown("train-the-rrm.md", 1, here):
        result = runner.invoke(app, words)
        assert result.exit_code == 0, result.output
    assert Path("runs/sft/final/rrm.json").exists()
    assert Path("runs/gcpo/final/rrm.json").exists()


@pytest.mark.slow
def test_the_guide_s_preset_of_sft_trains_on_what_the_simulated_teachers_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = {"--count 500": "--count 4", "sft_tiny": "sft_tiny --set steps=1 --set batch_per_device=2"}
    for program, *words in shown("train-the-rrm.md", 2, few):
        result = runner.invoke({"edit-rrm-shapes": shapes_app, "edit-rrm-train": app}[program], words)
        assert result.exit_code == 0, result.output
    card = read_card(Path("runs/tiny/sft/final"))
    assert card.training["base"]["name"] == "edit-rrm-tiny-m-base"
    assert card.training["rows"] == {"decompose": 4, "verify": 16}
