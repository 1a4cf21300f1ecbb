"""Files of the shapes world."""

import hashlib
import json
from pathlib import Path

from PIL import Image

from edit_rrm.principles import Principle
from edit_rrm_shapes.world.dataset import SAME_ZONE, make_edit, make_pairs, write_dataset


def digest(directory: Path) -> dict[str, str]:
    return {
        str(p.relative_to(directory)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(directory.rglob("*")) if p.is_file()
    }  # fmt: skip


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_dataset(tmp_path / name, seed=5, count=4, candidate_count=3)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    write_dataset(tmp_path / "c", seed=6, count=4, candidate_count=3)
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


def test_rows_have_the_documented_fields_and_their_images(tmp_path: Path) -> None:
    write_dataset(tmp_path, seed=5, count=3, candidate_count=4)
    rows = [json.loads(line) for line in (tmp_path / "edits.jsonl").read_text().splitlines()]
    assert [set(row) for row in rows] == [
        {"id", "category", "instruction", "source", "principles", "candidates"}
    ] * 3
    for row in rows:
        principles = [Principle(**p) for p in row["principles"]]
        assert Image.open(tmp_path / row["source"]).size == (96, 96)
        assert len(row["candidates"]) == 4
        for candidate in row["candidates"]:
            assert set(candidate) == {"image", "editor", "verdicts", "evidence", "score", "utility"}
            assert len(candidate["verdicts"]) == len(candidate["evidence"]) == len(principles)
            assert (tmp_path / candidate["image"]).exists()
    pairs = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert len(pairs) == 3 * 6
    assert {p["label"] for p in pairs} <= {"prefer", "same"}


def test_an_edit_depends_on_seed_and_index_only() -> None:
    assert make_edit(1, 7, 4) == make_edit(1, 7, 4)
    assert make_edit(1, 7, 4).request != make_edit(1, 8, 4).request
    # More candidates do not change the source, the instruction or the principles.
    assert make_edit(1, 7, 8).checks == make_edit(1, 7, 2).checks


def test_labels_follow_utility_up_to_the_annotator_s_noise() -> None:
    right = wrong = 0
    for index in range(200):
        edit = make_edit(2, index, 4)
        for pair in make_pairs(edit, 2):
            gap = edit.candidates[pair.preferred].utility - edit.candidates[pair.non_preferred].utility
            if pair.label == "prefer":
                right += gap > 0
                wrong += gap <= 0
                assert gap > -2
            else:
                assert abs(gap) < SAME_ZONE + 2
    assert right > 30 * max(1, wrong)
