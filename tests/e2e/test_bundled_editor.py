"""The shapes editor that ships, sampled and judged by the oracle: whole, and as its card says."""

import json
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from edit_grpo.cli.app import app as grpo_app
from edit_rrm_shapes.cli.app import app as shapes_app
from edit_rrm_shapes.models import SHAPES_EDITOR

EDITS = 40
NOISES = 3


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the oracle says of every edit, carried out from three noises."""
    folder = tmp_path_factory.mktemp("bundled")
    data = folder / "edits"
    commands = [(shapes_app, f"generate --seed 1040 --count {EDITS} --candidates 1 --out {data}")]
    for seed in range(NOISES):
        out = folder / str(seed)
        sampling = f"sample --checkpoint shapes-editor --edits {data} --out {out} --steps 8 --seed {seed}"
        judging = f"judge --edits {data}/edits.jsonl --pictures {out} --out {out}.jsonl"
        commands += [(grpo_app, sampling), (shapes_app, judging)]
    for program, words in commands:
        ended = CliRunner().invoke(program, words.split())
        assert ended.exit_code == 0, ended.output
    assert Image.open(folder / "0" / "1040-0.png").size == (96, 96)
    return [
        json.loads(line)
        for seed in range(NOISES)
        for line in (folder / f"{seed}.jsonl").read_text().splitlines()
    ]


def met(row: dict[str, Any], category: str) -> bool:
    """Whether every principle of the category is."""
    return all(
        done for name, done in zip(row["categories"], row["verdicts"], strict=True) if name == category
    )


def test_the_bundled_editor_draws_the_source_again_with_little_harm(judged: list[dict[str, Any]]) -> None:
    assert len(judged) == EDITS * NOISES
    # 107 of 120 where this was written; pictures of other machines differ in the last bits.
    assert sum(met(row, "keep") for row in judged) >= 90


def test_the_bundled_editor_carries_a_few_edits_out_and_leaves_most_undone(
    judged: list[dict[str, Any]],
) -> None:
    # 5 of 120 succeed: enough to learn from in groups, and room to become better.
    assert 1 <= sum(row["success"] for row in judged) <= 30


def test_the_bundled_editor_is_small_and_has_a_card() -> None:
    folder = SHAPES_EDITOR
    assert (folder / "README.md").read_text().startswith("# shapes-editor")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 12e6
