"""The shapes editor that ships, sampled and judged by the oracle: whole, and as good as its card says."""

import json
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from edit_grpo.cli import app as grpo_app
from edit_grpo.policies.loading import BUNDLED
from edit_rrm_training.cli import app as training_app

EDITS = 40
FEWEST = 8
"""By its card twice as many succeed; pictures of other machines differ in the last bits."""


def test_the_bundled_editor_carries_edits_out(tmp_path: Path) -> None:
    data, edited, judged = tmp_path / "edits", tmp_path / "edited", tmp_path / "judged.jsonl"
    for program, words in (
        (training_app, f"shapes generate --seed 1040 --count {EDITS} --candidates 1 --out {data}"),
        (grpo_app, f"sample --checkpoint shapes-editor --data {data} --out {edited} --steps 8"),
        (training_app, f"shapes judge --edits {data}/edits.jsonl --pictures {edited} --out {judged}"),
    ):
        ended = CliRunner().invoke(program, words.split())
        assert ended.exit_code == 0, ended.output
    rows = [json.loads(line) for line in judged.read_text().splitlines()]
    assert len(rows) == EDITS
    assert sum(row["success"] for row in rows) >= FEWEST
    assert Image.open(edited / "1040-0.png").size == (96, 96)


def test_the_bundled_editor_is_small_and_has_a_card() -> None:
    folder = BUNDLED["shapes-editor"]
    assert (folder / "README.md").read_text().startswith("# shapes-editor")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 12e6
