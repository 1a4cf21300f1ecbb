"""What the guide launches on eight GPUs, launched on two CPU processes, with a tiny pipeline of each kind."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image
from served_mock import served

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer
from guide_blocks import commands_in_lines
from tiny_pipelines import INSTRUCTIONS, kontext_folder, qwen_folder

pytestmark = pytest.mark.slow


def falling(request: ScoreRequest) -> Sequence[float]:
    """Rewards that differ within a group."""
    return [0.9 - number / 10 for number in range(len(request.candidates))]


@pytest.mark.parametrize("folder_of", [kontext_folder, qwen_folder])
def test_accelerate_launches_the_editor_s_training(folder_of: Callable[[Path], Path], tmp_path: Path) -> None:
    lines = commands_in_lines("train-an-editor.md")
    (shown,) = (words for words in lines if words[:2] == ["accelerate", "launch"])
    assert shown[2:] == ["--multi_gpu", "--num_processes", "8", "-m", "edit_grpo.cli", "train", "…"]
    launch = [{"8": "2"}.get(word, word) for word in shown[2:-1]]
    Image.new("RGB", (32, 32), "red").save(tmp_path / "source.png")
    row = {"id": "1", "source": "source.png", "instruction": INSTRUCTIONS[0]}
    (tmp_path / "edits.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    settings = {
        "out": "run", "policy": {"name": str(folder_of(tmp_path / "editor")), "dtype": "float32",
                                 "area_pixels": 1024, "lora": {"rank": 4}},
        "data": {"edits": ["edits.jsonl"]}, "sampling": {"group_size": 2, "groups": 2, "steps": 2},
        "updates": 2, "save_every": 1, "grid_every": None,
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(settings), encoding="utf-8")
    with served(MockRewardServer(falling)) as address:
        done = subprocess.run(
            [sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", "0", *launch,
             "run.json", "--url", address],
            cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False,
            env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    log = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    updates = [line for line in map(json.loads, log) if "event" not in line]
    assert [line["groups/trained"] for line in updates] == [2, 2]  # one in each process
    assert (tmp_path / "run" / "final" / "adapter_config.json").is_file()
