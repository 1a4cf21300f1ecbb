"""Rollouts by a vLLM inside the training's process: it reads the prompts that the training reads."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edit_rrm_shapes import models
from edit_rrm_training.rollouts.vllm_prompts import with_one_token_an_image
from shapes_rows import pair, write_lines

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SFT = models.TINY_SFT


@pytest.mark.parametrize(
    ("prompt", "given"),
    [
        ([1, 9, 9, 9, 2, 9, 9, 3], [1, 9, 2, 9, 3]),
        ([9, 9, 1, 9], [9, 1, 9]),
        ([1, 2], [1, 2]),
        ([], []),
    ],
)
def test_an_image_has_one_token(prompt: list[int], given: list[int]) -> None:
    assert with_one_token_an_image(prompt, 9) == given


def test_vllm_draws_and_judges_what_the_policy_would(tmp_path: Path) -> None:
    write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(8)])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    folders = ("rrm", "rrm_training", "tests/rrm_training")
    done = subprocess.run(
        [sys.executable, str(HERE / "colocated_vllm.py"), str(SFT), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in folders),
             "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1",
             "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2]
    for line in steps:  # weights in bfloat16 there, in float32 here; the second step has other weights
        assert line["gcpo/unparsed"] <= 0.25
        assert line["sampling/sampling_logp_difference/mean"] < 0.05
        assert line["sampling/importance_sampling_ratio/mean"] == pytest.approx(1.0, abs=0.2)
    (measured,) = [line for line in lines if "eval_accuracy" in line]
    assert measured["eval_pairs"] == 8
    assert measured["eval_unparsed"] <= 0.2
