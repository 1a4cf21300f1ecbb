"""Ends other than the usual one: before the model is loaded, and because it cannot be."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from service_process import ServiceProcess

PROMPT_END_S = 10.0  # a load takes many times as long


@pytest.mark.parametrize("step", ["importing vLLM", "loading the model"])
def test_sigterm_while_loading_ends_at_once_and_leaves_nothing(tmp_path: Path, step: str) -> None:
    process = ServiceProcess(tmp_path)
    process.wait_for_step(step)
    assert process.http.get("/ready").json()["code"] == "loading"
    started = time.monotonic()
    assert process.end() == 0, process.log.read_text()[-3000:]
    assert time.monotonic() - started < PROMPT_END_S
    assert process.left_behind() == []
    assert "Traceback" not in process.log.read_text()


def test_a_directory_that_is_no_checkpoint_ends_the_start(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("edit-rrm-server")
    command = [str(script), "serve", "--port", "0", "--model", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert "is no checkpoint: it holds no config.json" in ended.stderr
    assert "Traceback" not in ended.stderr
