"""docs/first-hour.md, block by block as it is printed, in a shell or by Python, against the real service."""

import ast
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from service_process import ServiceProcess

from edit_rrm_client.bulk.rows import read_results
from guide_blocks import blocks_of, pasted

ROOT = Path(__file__).parents[3]
PAGE = "first-hour.md"
SHOWN = "http://127.0.0.1:8000"
PATIENCE_S = 400


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the pastes read of a checkout, to leave things in."""
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    return tmp_path


def run(command: list[str], text: str, folder: Path, **variables: str) -> str:
    """What a program says that gets `text` to read, with this environment's commands by their names."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, input=text, cwd=folder, env={**os.environ, "PATH": path, "COLUMNS": "200", **variables},
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_rl_engineers_group_is_scored(trained: ServiceProcess, checkout: Path) -> None:
    code, expected = blocks_of(PAGE)[2:4]
    assert (code.language, expected.language) == ("python", "text")
    assert run(["python", "-"], code.code.replace(SHOWN, trained.url), checkout) == expected.code


def test_the_reward_is_plugged_into_trls_trainer(trained: ServiceProcess, checkout: Path) -> None:
    *_, code = (block for block in blocks_of(PAGE) if block.language == "python")
    assert "GRPOTrainer" in code.code
    said = run(["python", "-"], code.code.replace(SHOWN, trained.url), checkout, OMP_NUM_THREADS="1")
    rewards = ast.literal_eval(said.splitlines()[-1])
    assert len(rewards) == 2
    # Of four completions each shows the good picture (1.0) or another (0.0).
    assert all(reward in (0.0, 0.25, 0.5, 0.75, 1.0) for reward in rewards)


def test_the_evaluation_team_scores_reports_and_compares(trained: ServiceProcess, checkout: Path) -> None:
    said = run(["bash", "-e"], pasted("first-hour.md", 2, {}), checkout, EDIT_RRM_URL=trained.url)
    rows = list(read_results(checkout / "runs/scores.jsonl"))
    assert len(rows) == 48
    assert {row.status for row in rows} == {"ok"}
    assert json.loads((checkout / "runs/scores.jsonl.summary.json").read_text())["scored"] == 48
    page = (checkout / "runs/report.html").read_text()
    assert all(row.instruction in page for row in rows)
    (won,) = re.findall(r"│ all +│ (\d+\.\d)% \[", said)  # careful against sloppy, 12 edits
    assert float(won) > 50


def test_the_platform_person_has_keys_metrics_and_a_drain(checkout: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    said = run(["bash", "-e"], pasted("first-hour.md", 3, {"8010": port}), checkout)
    assert re.search(r"reward\W+1\.0", said), said
    assert "without the key: 401" in said
    assert 'edit_rrm_candidates_total{outcome="ok"} 1.0' in said
    assert said.endswith("drained: 0\n")
    key = (checkout / "runs/keys.txt").read_text().split()[0]
    assert len(key) == 48
    assert (checkout / "runs/keys.txt").stat().st_mode & 0o077 == 0
    assert key not in said
