"""The ways in which rows lie on a disk: all are read alike, and a bad one is named."""

import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from row_files import decompose, jsonl, parquet, picture, saved_dataset, tar, verify, write_pictures

from edit_rrm.image_scale import ImageScale
from edit_rrm.judges import TrainedProfile
from edit_rrm_training.data.jsonl import read_rows
from edit_rrm_training.data.pictures import load_image, rebased
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.data.row_store import counts, row_at, store_rows
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.data.shards import all_shards, shards
from edit_rrm_training.data.trl_rows import sft_dataset
from edit_rrm_training.errors import RowError
from edit_rrm_training.pipeline.grouped import Grouped
from edit_rrm_training.pipeline.rows import Quadruple, TraceRow

ROWS = [verify(0), decompose(1), verify(2)]
Write = Callable[[Path], Path]


def in_shards(folder: Path) -> Path:
    """Two, written the second one first, a folder below the pictures."""
    up = [
        {name: f"../{value}" if name in ("source", "candidate") else value for name, value in row.items()}
        for row in ROWS
    ]
    jsonl(folder / "shards" / "b.jsonl", up[2])
    return jsonl(folder / "shards" / "a.jsonl", *up[:2]).parent


def by_pattern(folder: Path) -> Path:
    jsonl(folder / "part-2.jsonl", ROWS[2])
    return jsonl(folder / "part-1.jsonl", *ROWS[:2]).with_name("part-*.jsonl")


WAYS: dict[str, Write] = {
    "jsonl": lambda folder: jsonl(folder / "rows.jsonl", *ROWS),
    "shards": in_shards,
    "pattern": by_pattern,
    "parquet": lambda folder: parquet(folder / "rows.parquet", *ROWS),
    "webdataset": lambda folder: tar(folder / "rows.tar", *ROWS),
    "datasets": lambda folder: saved_dataset(folder / "saved", *ROWS),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_rows_are_read_from_every_kind_of_files(way: str, tmp_path: Path) -> None:
    write_pictures(tmp_path, 3)
    stored = store_rows(shards(WAYS[way](tmp_path)), tmp_path / "store")
    found = [row_at(stored[place])[0] for place in range(3)]
    assert [row.id for row in found] == ["v0", "d1", "v2"]
    assert [row.instruction for row in found] == ["make 0 blue", "make 1 blue", "make 2 blue"]
    assert counts(stored, "task") == {"verify": 2, "decompose": 1}
    examples = sft_dataset(stored, TrainedProfile(), ImageScale(384))[:]
    shades = [[image.getpixel((0, 0))[0] for image in images] for images in examples["images"]]
    assert shades == [[0, 200], [1], [2, 200]]
    assert [each[0]["content"][0]["text"] for each in examples["completion"]] == [
        row["completion"] for row in ROWS
    ]


def test_a_part_of_an_archive_is_read_where_it_lies(tmp_path: Path) -> None:
    (row, *_) = read_rows(tar(tmp_path / "rows.tar", *ROWS), SftRow)
    assert isinstance(row.source, str)
    assert row.source.startswith("rows.tar#")
    elsewhere = rebased(row.source, tmp_path, tmp_path / "a" / "b")
    assert elsewhere == f"../../{row.source}"
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert load_image(elsewhere, tmp_path / "a" / "b").getpixel((0, 0)) == (0, 0, 0)
    with (tmp_path / "rows.tar").open("r+b") as file:
        file.truncate(700)
    with pytest.raises(OSError, match=r"rows\.tar ends before byte"):
        load_image(row.candidate or "", tmp_path)


@pytest.mark.parametrize("row", [{"id": 7, "instruction": "größer\u2028heller"}, {"id": 7.0}])
def test_a_byte_order_mark_line_separators_and_numbers_for_ids_are_let_be(
    row: dict[str, Any], tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "rows.jsonl", {**ROWS[1], **row}, "", {**ROWS[0], "id": 8})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    first, second = read_rows(path, SftRow)
    assert (first.id, second.id) == ("7", "8")
    assert first.instruction == row.get("instruction", "make 1 blue")
    pair = {"id": 3, "source": "a", "instruction": "a\u2028b", "preferred": "b", "non_preferred": "c",
            "label": "same"}  # fmt: skip
    assert [(p.id, p.instruction) for p in read_rows(jsonl(path, pair), PreferencePair)] == [
        ("3", "a\u2028b")
    ]


def test_steps_of_the_pipeline_find_rows_by_numbers_behind_a_byte_order_mark(tmp_path: Path) -> None:
    principle = {"id": "p1", "category": "keep", "question": "Is it?"}
    path = jsonl(
        tmp_path / "quadruples.jsonl",
        {"id": 12, "edit": 3, "instruction": "x", "source": "s.png", "candidate": "c.png",
         "principles": [principle], "editor": "e"},
    )  # fmt: skip
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    trace = {"id": "t", "quadruple": 12, "verdicts": [1], "evidence": ["-"], "score": 5, "number": 0,
             "teacher": "x"}  # fmt: skip
    with (
        Grouped(path, Quadruple, "id") as asked,
        Grouped(jsonl(tmp_path / "t.jsonl", trace), TraceRow) as own,
    ):
        (quadruple,) = asked.rows()
        assert (quadruple.id, quadruple.edit) == ("12", "3")
        assert [row.score for row in own.of("12")] == [5.0]


@pytest.mark.parametrize("true", [True, None, 7.5])
def test_what_is_no_whole_number_is_no_id(true: object, tmp_path: Path) -> None:
    with pytest.raises(RowError, match="row 1, field 'id'"):
        list(read_rows(jsonl(tmp_path / "rows.jsonl", {**ROWS[0], "id": true}), SftRow))


def test_a_bad_row_of_each_kind_of_file_is_named(tmp_path: Path) -> None:
    bad = {**ROWS[0], "completion": ""}
    for path in (
        jsonl(tmp_path / "rows.jsonl", ROWS[0], bad),
        parquet(tmp_path / "rows.parquet", ROWS[0], bad),
        tar(tmp_path / "rows.tar", ROWS[0], bad),
    ):
        with pytest.raises(RowError) as caught:
            store_rows([path], tmp_path / "store")
        assert (caught.value.path, caught.value.row, caught.value.field) == (path, 2, "completion")
    folder = saved_dataset(tmp_path / "saved", ROWS[0], bad)
    with pytest.raises(RowError, match=rf"{folder}/state\.json, row 2, field 'completion'"):
        store_rows(shards(folder), tmp_path / "store")


def test_a_picture_that_is_not_there_is_named_by_file_and_row(tmp_path: Path) -> None:
    write_pictures(tmp_path, 1)
    stored = store_rows([jsonl(tmp_path / "rows.jsonl", ROWS[0], "", ROWS[2])], tmp_path / "store")
    dataset = sft_dataset(stored, TrainedProfile(), ImageScale(384))
    assert len(dataset[0]["images"]) == 2
    with pytest.raises(RowError, match=r"row 3, field 'source': the picture '2\.png' of row 'v2'"):
        dataset[1]


def test_a_place_that_means_no_rows_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(RowError, match="no such file or folder"):
        shards(tmp_path / "none")
    with pytest.raises(RowError, match="the pattern finds no file"):
        shards(tmp_path / "*.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RowError, match=r"no shards in it; expected JSONL"):
        shards(tmp_path / "empty")
    jsonl(tmp_path / "mixed" / "a.jsonl", ROWS[0])
    parquet(tmp_path / "mixed" / "b.parquet", ROWS[0])
    with pytest.raises(RowError, match=r"shards of one kind were expected, got \.jsonl, \.parquet"):
        shards(tmp_path / "mixed")
    with pytest.raises(RowError, match="the files hold no row"):
        store_rows([jsonl(tmp_path / "none.jsonl")], tmp_path / "store")
    with tarfile.open(tmp_path / "packed.tar", "w:gz"):
        pass
    with pytest.raises(RowError, match="not an uncompressed tar"):
        store_rows([tmp_path / "packed.tar"], tmp_path / "store")


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", *ROWS)
    assert all_shards([path, tmp_path / "*.jsonl"]) == (path,)


def test_a_table_is_made_again_only_when_a_file_has_changed(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", *ROWS)
    seen: list[int] = []

    def reading(file: Path) -> Any:
        for number, row in enumerate(read_rows(file, SftRow), start=1):
            seen.append(number)
            yield number, row

    store_rows([path], tmp_path / "store", read=reading)
    seen.clear()
    assert len(store_rows([path], tmp_path / "store", read=reading)) == 3
    assert seen in ([], [1])  # the first is looked at for its pictures
    jsonl(path, *ROWS, decompose(7))
    assert len(store_rows([path], tmp_path / "store", read=reading)) == 4


def test_embedded_pictures_are_kept_with_their_rows(tmp_path: Path) -> None:
    inside = {**ROWS[1], "source": {"bytes": picture(77), "path": None}}
    stored = store_rows([parquet(tmp_path / "rows.parquet", inside)], tmp_path / "store")
    (tmp_path / "rows.parquet").unlink()
    (images,) = sft_dataset(stored, TrainedProfile(), ImageScale(384))[:]["images"]
    assert isinstance(images[0], Image.Image)
    assert images[0].getpixel((0, 0)) == (77, 0, 0)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """In small what benchmarks/sft_rows_memory.py measures: not while rows are stored, nor when they are."""
    highest, arrow = [], pa.total_allocated_bytes()
    for count in (1000, 4000):
        path = jsonl(tmp_path / f"{count}.jsonl", *(decompose(number) for number in range(count)))
        tracemalloc.start()
        stored = store_rows([path], tmp_path / "store")
        assert [row_at(stored[place])[0].id for place in (0, count - 1)] == ["d0", f"d{count - 1}"]
        highest.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert stored.data.nbytes > 300 * count  # which are in the file
        assert pa.total_allocated_bytes() - arrow < 100_000
    assert highest[1] < 1.5 * highest[0]
