"""The requests that the first pages show, run in a shell as they stand there, answered by the service."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from service_process import ServiceProcess

from guide_blocks import blocks_of, shell_blocks

ROOT = Path(__file__).parents[3]
_SHOWN = "http://127.0.0.1:8000"


def requests_shown() -> list[str]:
    """The shell blocks of the first pages that ask a service for something."""
    blocks = [block.code for page in ("../README.md", "index.md") for block in shell_blocks(page)]
    return [block for block in blocks if "score-one" in block or block.startswith("curl")]


def run(command: list[str], text: str, service: ServiceProcess) -> str:
    """What a program says that gets `text` to read, in the checkout, with its commands by their names."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ended = subprocess.run(
        command, input=text.replace(_SHOWN, service.url), cwd=ROOT,
        env={**os.environ, "PATH": path, "EDIT_RRM_URL": service.url},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("command", requests_shown(), ids=["README-shell", "README-curl", "index-shell"])
def test_a_request_of_the_readme_is_answered_with_a_good_reward(
    command: str, trained: ServiceProcess
) -> None:
    command = command.replace("source .venv/bin/activate", "true")  # of the environment the tests run in
    said = run(["bash", "-e"], command, trained)
    assert re.search(r"reward\W+1\.0", said), said


@pytest.mark.parametrize("page", ["../README.md", "index.md"])
def test_python_of_the_first_pages_tells_a_good_edit_from_another(page: str, trained: ServiceProcess) -> None:
    (block,) = (block for block in blocks_of(page) if block.language == "python")
    good, other = run(["python", "-"], block.code, trained).splitlines()
    assert good.startswith("1.0")
    assert other.startswith("0.0")


def test_the_first_pages_show_requests_with_the_command_line_and_one_with_curl() -> None:
    programs = [re.findall(r"^(curl|edit-rrm) ", command, re.M) for command in requests_shown()]
    assert sorted(programs) == [["curl"], ["edit-rrm"], ["edit-rrm"]]
