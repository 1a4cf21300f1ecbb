"""The commands of shapes/README.md, after the installation."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edit_rrm_shapes.cli.app import app
from guide_blocks import shown


def test_they_draw_the_worlds_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    install, *commands = shown("../shapes/README.md", 0, {"--count 200": "--count 2"})
    assert install == ["pip", "install", ".", "./shapes"]
    for program, *words in commands:
        assert program == "edit-rrm-shapes"
        ended = CliRunner().invoke(app, words)
        assert ended.exit_code == 0, ended.output
    assert Path("shapes.png").stat().st_size > 1000
    lines = Path("runs/shapes/edits.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["instruction"] != "" for line in lines] == [True, True]
