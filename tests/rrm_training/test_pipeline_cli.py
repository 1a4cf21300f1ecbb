"""The pipeline's commands."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edit_rrm_shapes.cli.app import app as shapes_app
from edit_rrm_shapes.teachers.simulated import pipeline_file
from edit_rrm_training.cli.app import app
from edit_rrm_training.data.preferences import read_pairs
from edit_rrm_training.data.sft_rows import read_sft_rows
from guide_blocks import shown

runner = CliRunner()
PROGRAMS = {"edit-rrm-train": app, "edit-rrm-shapes": shapes_app}


def call(*arguments: str, status: int = 0, program: str = "edit-rrm-train") -> str:
    result = runner.invoke(PROGRAMS[program], list(arguments))
    assert result.exit_code == status, result.output
    return " ".join(result.output.split())


def world(*arguments: str) -> str:
    return call(*arguments, program="edit-rrm-shapes")


def test_from_edits_to_sft_rows_in_two_commands(tmp_path: Path) -> None:
    edits, out = tmp_path / "edits.jsonl", tmp_path / "run"
    world("edits", "--seed", "51", "--count", "4", "--out", str(edits))
    everything = ["pipeline", "run", "--config", "shapes", "--editor", "shapes", "--per-editor", "2"]
    said = call(*everything, "--edits", str(edits), "--out", str(out))
    assert "verify: 8 rows written, 0 failed" in said
    assert len(list(read_sft_rows(out / "sft" / "think+verify.jsonl"))) == 8
    again = call(*everything, "--edits", str(edits), "--out", str(out))
    assert "reason: 0 rows written, 0 failed; before: 80 written" in again


def test_hard_subset_says_how_many_it_kept(tmp_path: Path) -> None:
    edits, out = tmp_path / "edits.jsonl", tmp_path / "hard.jsonl"
    world("edits", "--seed", "51", "--count", "30", "--out", str(edits))
    said = call("pipeline", "hard-subset", "--edits", str(edits), "--out", str(out), "--others", "1")
    kept = out.read_text().splitlines()
    assert f"{len(kept)} of 30 edits" in said
    assert 1 < len(kept) < 30


def test_shapes_pairs_have_principles_and_no_pictures(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    said = world("pairs", "--seed", "12", "--count", "5", "--out", str(out))
    assert "30 pairs of 5 edits" in said
    found = read_pairs(out)
    assert len(found.pairs) + found.same == 30
    assert all(pair.principles and str(pair.source).startswith("shapes:12/") for pair in found.pairs)


def test_a_bad_row_ends_a_step_with_its_place_and_no_traceback(tmp_path: Path) -> None:
    edits = tmp_path / "edits.jsonl"
    edits.write_text('{"id": "a", "instruction": "make it blue"}\n')
    said = call("pipeline", "decompose", "--config", "shapes", "--edits", str(edits),
                "--out", str(tmp_path / "out.jsonl"), status=1)  # fmt: skip
    assert "row 1, field 'source'" in said
    assert "Traceback" not in said


def test_evaluation_wants_one_thing_to_measure(tmp_path: Path) -> None:
    (tmp_path / "edits.jsonl").write_text("")
    assert "exactly one" in call("evaluate", "--edits", str(tmp_path), status=2)
    assert "exactly one" in call(
        "evaluate", "--edits", str(tmp_path), "--checkpoint", "x", "--url", "http://x", status=2
    )
    assert "--score-only needs" in call(
        "evaluate", "--edits", str(tmp_path), "--url", "http://x", "--score-only", status=2
    )


def follow(page: str, number: int, changes: Mapping[str, str]) -> None:
    """Does what a block of a guide says."""
    for program, *words in shown(page, number, changes):
        call(*words, program=program)


def test_the_guide_s_commands_make_rows_at_once_and_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    follow("rrm-data.md", 0, {"--count 7500": "--count 3", "--per-editor 4": "--per-editor 2"})
    assert len(list(read_sft_rows(tmp_path / "runs/data/sft/think+verify.jsonl"))) == 6
    shutil.copy("runs/data/edits.jsonl", "all.jsonl")
    shutil.copy(pipeline_file(), "p.toml")
    editors = "--editor flux-kontext --editor qwen-image-edit=/weights --editor folder=/data/seededit"
    follow("rrm-data.md", 1, {editors: "--editor shapes"})
    kept = (tmp_path / "edits.jsonl").read_text().splitlines()
    assert len(list(read_sft_rows(tmp_path / "sft/think+verify.jsonl"))) == 2 * len(kept) > 0


def test_candidates_in_parts_are_those_of_one_process(tmp_path: Path) -> None:
    edits, decomposed, whole = (tmp_path / f"{name}.jsonl" for name in ("edits", "decomposed", "whole"))
    world("edits", "--seed", "51", "--count", "5", "--out", str(edits))
    call("pipeline", "decompose", "--config", "shapes", "--edits", str(edits), "--out", str(decomposed))
    step = ["pipeline", "candidates", "--edits", str(decomposed), "--editor", "shapes", "--per-editor", "2"]
    call(*step, "--out", str(whole))
    out = tmp_path / "parts.jsonl"
    for number, rows in ((1, 4), (2, 4), (3, 2)):
        said = call(*step, "--out", str(out), "--shard", f"{number}/3")
        assert f"{rows} rows written" in said
        assert f"cat {tmp_path}/parts.*-of-3.jsonl > {out}" in said
    joined = [line for part in sorted(tmp_path.glob("parts.*-of-3.jsonl")) for line in part.open()]
    assert sorted(joined) == sorted(whole.open())
    for wrong in ("0/3", "4/3", "2", "a/b"):
        assert "--shard" in call(*step, "--out", str(out), "--shard", wrong, status=2)
