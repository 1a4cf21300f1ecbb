"""docs/train-the-rrm.md, In five minutes: the block as it stands, but with a step in place of twelve."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edit_rrm.checkpoint import checkpoint_directory, read_card
from guide_blocks import pasted


@pytest.mark.slow
def test_the_five_minutes_train_something_and_serve_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    few = {
        "--count 300": "--count 6",
        "gcpo_tiny": "gcpo_tiny --set steps=1 --set warmup_steps=0 --set pairs_per_step=4",
        "8011": port,
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e"], input=pasted("train-the-rrm.md", 0, few), cwd=tmp_path,
        env={**os.environ, "PATH": path, "COLUMNS": "100", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=550, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    before, after = re.findall(r"^ all +(\d\.\d{3}) .* (\d+) *$", done.stdout, re.M)
    assert before[1] == after[1]  # the same pairs
    assert after[1] == "15"  # with a preference, of the 36 of six edits
    assert all(float(value) > 0.2 for value, _ in (before, after))  # both judge
    card = read_card(tmp_path / "runs/tiny/gcpo/final")
    assert card.name == "edit-rrm-tiny-five-minutes"
    assert card.training["base"]["name"] == read_card(checkpoint_directory("edit-rrm-tiny-sft")).name
