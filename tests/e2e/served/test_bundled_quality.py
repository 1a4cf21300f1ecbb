"""The bundled checkpoint is as good as its card says, by free generation through the service."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from service_process import ServiceProcess

from edit_rrm.checkpoint import read_card
from edit_rrm_server.settings.server import BUNDLED_MODEL

EDITS = 40
SLACK = 0.02
"""How far below its recorded value a measure's whole interval may lie: float order differs by machine."""


def test_a_small_evaluation_agrees_with_the_recorded_results(trained: ServiceProcess, tmp_path: Path) -> None:
    recorded: dict[str, dict[str, Any]] = read_card(BUNDLED_MODEL).training["results"]["measures"]
    command = [str(Path(sys.executable).parent / "edit-rrm-shapes"), "evaluate"]
    command += ["--server", trained.url, "--seed", "2500", "--count", str(EDITS)]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    measured = json.loads((tmp_path / "evaluation.json").read_text())["measures"]
    assert set(measured) == set(recorded)
    for name, found in measured.items():
        if name != "pairs tied by score":
            assert found["interval95"][1] >= recorded[name]["value"] - SLACK, (name, found, recorded[name])
    assert measured["traces that parse"]["n"] == EDITS * 4
    assert len((tmp_path / "traces.jsonl").read_text().splitlines()) == EDITS
