"""`edit-rrm-shapes reproduce-editor` from edits to table, with the real service and an untrained editor."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from service_process import ServiceProcess

from edit_grpo.errors import ServiceAwayError
from edit_rrm_client import RetryPolicy, RewardClient, UnavailableError
from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_shapes.reproduce_editor.serving import serving
from edit_rrm_shapes.tiny_editor.pipeline import build_shapes_editor
from edit_rrm_shapes.world.dataset import make_edit

ROOT = Path(__file__).parents[3]


def test_a_service_is_ready_within_the_block_and_gone_after_it(tmp_path: Path) -> None:
    with serving(str(BUNDLED_MODEL), tmp_path / "log") as url, RewardClient(url) as client:
        assert client.models().models[0].name == "edit-rrm-tiny"
    with RewardClient(url, retries=RetryPolicy(attempts=1)) as client, pytest.raises(UnavailableError):
        client.models()
    with (
        pytest.raises(ServiceAwayError, match="ended with status"),
        serving("/no/such/model", tmp_path / "log"),
    ):
        pytest.fail("it must not be ready")


def test_the_quick_reproduction_trains_measures_and_writes_its_table(
    server: ServiceProcess, tmp_path: Path
) -> None:
    instructions = [make_edit(41, index, 0).request.instruction for index in range(50)]
    build_shapes_editor(instructions, seed=0).save_pretrained(str(tmp_path / "editor"))
    command = [
        sys.executable, "-m", "edit_rrm_shapes.cli", "reproduce-editor", "--quick",
        "--editor", str(tmp_path / "editor"),
        "--reward", f"gcpo={server.url}",
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
    # Nothing is done twice but the table, which takes what is measured by now.
    assert [line.split(":")[0] for line in again.stdout.splitlines() if ": begun" in line] == ["table"]
