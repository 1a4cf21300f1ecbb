"""What the service and an editor's training print: their own lines and nothing of libraries."""

import os
import re
import subprocess
import sys
from pathlib import Path

from service_process import ServiceProcess

from edit_rrm_shapes.world.dataset_files import write_dataset

ROOT = Path(__file__).parents[3]
SERVICE = re.compile(r" *\d+\.\d s  |INFO edit_rrm_server\.")
TRAINING = re.compile(
    r"(begins in|reward model|board: Weights & Biases, offline:|\d+ of \d+: reward|saved:|grid:|finished:|"
    r"took|look at it:) "
)


def test_a_start_tells_the_service_s_own_lines_alone(server: ServiceProcess) -> None:
    lines = server.log.read_text().splitlines()
    ready = next(number for number, line in enumerate(lines) if "ready in" in line)
    assert [line for line in lines[: ready + 1] if not SERVICE.match(line)] == []


def test_an_editor_s_training_prints_its_own_lines_alone(trained: ServiceProcess, tmp_path: Path) -> None:
    write_dataset(tmp_path / "edits", seed=2026, count=4, candidate_count=1)
    settings = {
        "data.edits": f"[{tmp_path / 'edits' / 'edits.jsonl'}]", "data.held_out": 1, "out": tmp_path / "run",
        "updates": 1, "sampling.groups": 2, "sampling.group_size": 2, "sampling.steps": 4,
        "wandb.project": "quiet", "wandb.mode": "offline",
    }  # fmt: skip
    command = [str(Path(sys.executable).with_name("edit-grpo")), "train", "shapes/configs/tiny_editor.yaml"]
    command += ["--url", trained.url]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    ended = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        check=False, env=os.environ | {"COLUMNS": "300"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert [line for line in ended.stdout.splitlines() if not TRAINING.match(line)] == []
