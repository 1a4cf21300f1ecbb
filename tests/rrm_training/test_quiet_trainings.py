"""What a training prints, run as a command: its own lines and nothing of libraries."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from shapes_rows import pair, verify_row, write_lines

OURS = re.compile(
    r"(begins in|Weights & Biases, offline:|\d+ pairs; left out:|\d+ of \d+:|"
    r"finished in|nothing was learned,|serve it:|measure it:) "
)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "gcpo"])
def test_a_training_prints_its_own_lines_alone(untrained: Path, tmp_path: Path, stage: str) -> None:
    rows = write_lines(tmp_path / "rows.jsonl", [verify_row(index) for index in range(2)])
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(2)])
    settings = {"base": untrained, "out": tmp_path / "run", "steps": 2, "log_every": 1, "max_trace_tokens": 8}
    settings |= {"wandb.project": "quiet", "wandb.mode": "offline", "dtype": "bfloat16"}
    if stage == "sft":
        settings |= {"rows": f"[{rows}]", "batch_per_device": 2}
    else:
        settings |= {"pairs": pairs, "traces": 2, "pairs_per_step": 1, "batch_per_device": 4}
    command = [str(Path(sys.executable).with_name("edit-rrm-train")), stage]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:]
    lines = ended.stdout.splitlines()
    assert [line for line in lines if not OURS.match(line)] == []
    assert any(line.startswith("2 of 2: ") for line in lines)
    assert not list((tmp_path / "run").rglob("README.md"))
