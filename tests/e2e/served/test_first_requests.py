"""The requests that the first pages show, run in a shell as they stand there, answered by the service."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from service_process import ServiceProcess

from guide_blocks import shell_blocks

ROOT = Path(__file__).parents[3]
_SHOWN = "http://127.0.0.1:8000"


def requests_shown() -> list[str]:
    """The shell blocks of the first pages that ask a service for something."""
    blocks = [block.code for page in ("../README.md", "index.md") for block in shell_blocks(page)]
    return [block for block in blocks if "score-one" in block or block.startswith("curl")]


@pytest.mark.parametrize("command", requests_shown(), ids=lambda command: command.split()[0].split("/")[-1])
def test_a_request_of_the_readme_is_answered_with_a_good_reward(
    command: str, trained: ServiceProcess
) -> None:
    command = command.replace(".venv/bin/", f"{Path(sys.executable).parent}/").replace(_SHOWN, trained.url)
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={**os.environ, "EDIT_RRM_URL": trained.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"reward\W+1\.0", ended.stdout), ended.stdout


def test_the_first_pages_show_requests_with_the_command_line_and_one_with_curl() -> None:
    assert sorted(command.split()[0].split("/")[-1] for command in requests_shown()) == [
        "curl",
        "edit-rrm",
        "edit-rrm",
    ]
