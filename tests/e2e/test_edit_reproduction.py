"""`edit-grpo reproduce` from edits to table, with the real service and an editor nobody trained."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edit_grpo.policies.shapes_editor import build_shapes_editor
from edit_rrm_training.shapes.dataset import make_edit

ROOT = Path(__file__).parents[2]


@pytest.mark.e2e
@pytest.mark.timeout(500)
def test_the_quick_reproduction_trains_measures_and_writes_its_table(tmp_path: Path) -> None:
    instructions = [make_edit(41, index, 0).request.instruction for index in range(50)]
    build_shapes_editor(instructions, seed=0).save_pretrained(str(tmp_path / "editor"))
    command = [
        sys.executable, "-m", "edit_grpo.cli", "reproduce", "--quick", "--editor", str(tmp_path / "editor"),
        "--out", str(tmp_path / "out"), "--results", str(tmp_path / "results"),
    ]  # fmt: skip
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    logs = "".join(file.read_text()[-2000:] for file in (tmp_path / "out" / "logs").glob("*.log"))
    assert first.returncode == 0, first.stdout + first.stderr + logs
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    before, after = results["runs"]["gcpo-seed0"]
    assert (before["update"], after["update"], before["edits"]) == (0, 1, 2)
    # Untrained, it hands back its source: no edit is done, and the guard says so.
    assert (before["success"], before["reward"], before["unscored"]) == (0.0, 0.0, 0)
    assert (tmp_path / "results" / "grid-gcpo-seed0.png").stat().st_size > 1000
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "begun" not in again.stdout
