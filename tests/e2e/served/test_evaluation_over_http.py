"""A checkpoint measured in a process and the same one measured through its service give equal results."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from service_process import ServiceProcess

from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_shapes.world.dataset import SAME_ZONE
from edit_rrm_shapes.world.dataset_files import write_dataset

EDITS = 20


def evaluate(edits: Path, out: Path, *judge: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).parent / "edit-rrm-train"), "evaluate", *judge]
    command += ["--edits", str(edits), "--same-zone", str(SAME_ZONE), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    found: dict[str, Any] = json.loads((out / "evaluation.json").read_text())
    return found


def test_in_process_and_over_http_measure_the_same(trained: ServiceProcess, tmp_path: Path) -> None:
    edits = tmp_path / "edits"
    write_dataset(edits, 2700, EDITS, 2)
    here = evaluate(edits, tmp_path / "here", "--checkpoint", str(BUNDLED_MODEL))
    there = evaluate(edits, tmp_path / "there", "--server", trained.url)
    assert here["measures"] == there["measures"]
    assert here["measures"]["traces that parse"]["n"] == EDITS * 2
    for one, other in zip(
        *((tmp_path / name / "traces.jsonl").read_text().splitlines() for name in ("here", "there")),
        strict=True,
    ):
        assert json.loads(one)["traces"] == json.loads(other)["traces"]
    details, others = here["details"], there["details"]
    assert details["pairs_by_category"] == others["pairs_by_category"]
    assert details["verdicts"] == others["verdicts"]
    error, other_error = (d["calibration"]["all"]["ece"] for d in (details, others))
    assert abs(error - other_error) < 1e-3
    assert (tmp_path / "there" / "reliability.png").stat().st_size > 5000
