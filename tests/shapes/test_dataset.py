"""Files of the shapes world."""

import hashlib
import json
from pathlib import Path

from PIL import Image

from edit_rrm.principles import Principle
from edit_rrm_client.bulk.inputs import open_input
from edit_rrm_shapes.world.dataset import SAME_ZONE, make_edit, make_pairs
from edit_rrm_shapes.world.dataset_files import write_dataset
from edit_rrm_training.data.preferences import check_pairs, read_pairs


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


def test_pairs_are_what_gcpo_and_evaluate_pairs_read(tmp_path: Path) -> None:
    write_dataset(tmp_path, seed=5, count=3, candidate_count=4)
    check_pairs(tmp_path / "pairs.jsonl")  # loads every picture
    found = read_pairs(tmp_path / "pairs.jsonl")
    assert len(found.pairs) + found.same == 3 * 6
    assert all(pair.principles for pair in found.pairs)
    by_number = [pair for index in range(3) for pair in make_pairs(make_edit(5, index, 4), 5)]
    assert [(pair.preferred, pair.non_preferred) for pair in found.pairs] == [
        (f"images/{pair.edit}-{pair.preferred}.png", f"images/{pair.edit}-{pair.non_preferred}.png")
        for pair in by_number if pair.label == "prefer"
    ]  # fmt: skip


def test_edited_images_are_what_bulk_scoring_reads(tmp_path: Path) -> None:
    write_dataset(tmp_path, seed=5, count=3, candidate_count=5)
    rows = list(open_input(tmp_path / "edited.jsonl", tmp_path).rows())
    assert [row.problem for row in rows] == [None] * 15
    assert {row.model for row in rows} == {"careful", "eager", "lazy", "sloppy"}
    # The editors take turns: the fifth candidate is the first editor's second.
    assert [(row.edited, row.candidate) for row in rows[:5]] == [
        ("images/5-0-0.png", 0), ("images/5-0-1.png", 0), ("images/5-0-2.png", 0), ("images/5-0-3.png", 0),
        ("images/5-0-4.png", 1),
    ]  # fmt: skip


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
