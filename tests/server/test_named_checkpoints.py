"""`serve --model`: what cannot be a checkpoint is one line, with the nearest name, before any engine."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from edit_rrm_server.process.cli import app


def refusal(*words: str) -> str:
    ended = CliRunner().invoke(app, ["serve", *words])
    assert ended.exit_code == 2, ended.output
    (line,) = ended.stderr.splitlines()
    return line


def test_a_name_that_is_nothing_is_told_the_nearest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    said = refusal("--model", "edit-rrm-tniy")
    assert "--model: there is no checkpoint edit-rrm-tniy: expected a directory, an id of the hub" in said
    assert said.endswith("did you mean edit-rrm-tiny?")


def test_a_misspelt_run_is_told_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "gcpo" / "final").mkdir(parents=True)
    (tmp_path / "gcpo" / "final" / "config.json").write_text("{}")
    assert refusal("--model", str(tmp_path / "gpco")).endswith(f"did you mean {tmp_path / 'gcpo'}?")


def test_a_directory_without_a_model_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert refusal("--model", str(tmp_path)).endswith(
        f"{tmp_path} is no checkpoint: it holds no config.json; it holds notes.txt"
    )


def test_the_bases_and_adapters_of_the_settings_are_looked_at_too(tmp_path: Path) -> None:
    assert "--base: there is no checkpoint bse" in refusal("--model", "edit-rrm-tiny", "--base", "bse")
    said = refusal("--set", f"adapters.hats={tmp_path / 'hats'}")
    assert "adapters.hats: there is no checkpoint" in said
