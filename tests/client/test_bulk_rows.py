"""Results files: what is written is read back, in both formats; a failure never has a number."""

import json
import sys
from pathlib import Path

import pytest
from bulk_rows import failed_row, scored_row
from pydantic import ValidationError

from edit_rrm.wire import MAX_SOURCES
from edit_rrm_client.bulk.errors import InputError, MissingExtraError
from edit_rrm_client.bulk.rows import (
    IMAGE_COLUMNS,
    SOURCE_COLUMNS,
    ResultRow,
    image_path,
    read_results,
    write_results,
)

BOTH = pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
ROWS = [
    scored_row("e1", 0.25, source_image=b"\x89PNG\x00\xff", edited_image=b"\x00", reasoning="because"),
    failed_row("e2"),
    scored_row("e4", source_2="t.png", source_2_image=b"\x01", source_3_image=b"\x02"),
    scored_row("e3", 1.0, model="", category="colour", keep=0.5, quality=0.0, verdicts=(), guards=()),
]


@BOTH
def test_rows_come_back_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"results{suffix}"
    with write_results(path) as writer:
        for row in ROWS:
            writer.write(row)
    assert list(read_results(path)) == ROWS
    if suffix == ".parquet":
        assert next(read_results(path, images=False)).edited_image is None


@BOTH
def test_a_writer_that_fails_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"results{suffix}"
    with write_results(path) as writer:
        writer.write(ROWS[0])
    writer = write_results(path)
    writer.write(ROWS[1])
    writer.__exit__(RuntimeError, RuntimeError(), None)
    assert list(read_results(path)) == ROWS[:1]
    assert list(tmp_path.iterdir()) == [path]


def test_images_are_base64_in_jsonl_and_bytes_in_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet

    for suffix in (".jsonl", ".parquet"):
        with write_results(tmp_path / f"r{suffix}") as writer:
            writer.write(ROWS[0])
    assert json.loads((tmp_path / "r.jsonl").read_text())["edited_image"] == "AA=="
    table = pyarrow.parquet.read_table(tmp_path / "r.parquet")
    assert table["edited_image"].to_pylist() == [b"\x00"]
    assert table.schema.names == list(ResultRow.model_fields)


def test_a_row_tells_its_sources_in_order() -> None:
    assert ROWS[1].sources == (("s.png", None),)
    assert ROWS[2].sources == (("s.png", None), ("t.png", b"\x01"), (None, b"\x02"))


def test_there_is_a_column_for_every_source_an_edit_may_have() -> None:
    columns = {*SOURCE_COLUMNS, *IMAGE_COLUMNS}
    assert len(SOURCE_COLUMNS) == MAX_SOURCES
    assert columns == {name for name in ResultRow.model_fields if name.startswith("source")} | {
        "edited_image"
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "error", "error_code": "x"},  # keeps its reward
        {"status": "error", "error_code": "x", "reward": 0.0, "score": None},
        {"status": "error", "reward": None, "score": None},  # no code
        {"reward": None},
        {"reward": float("nan")},
        {"reward": 1.5},
    ],
)
def test_a_failure_with_a_number_and_a_score_without_one_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ResultRow.model_validate({**scored_row().model_dump(), **changes})


def test_a_file_that_is_none_is_refused_with_file_row_and_field(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(scored_row().model_dump_json().encode() + b'\n\n{"key": 3}\n')
    rows = read_results(path)
    assert next(rows) == scored_row()
    with pytest.raises(InputError, match=r"r\.jsonl, row 3: key: "):
        next(rows)
    (tmp_path / "r.parquet").write_bytes(b"PAR")
    for name, words in (("r.parquet", "as Parquet"), ("r.txt", "ends in"), ("none.jsonl", "no such file")):
        with pytest.raises(InputError, match=words):
            list(read_results(tmp_path / name))


def test_parquet_without_its_extra_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edit-rrm\[bulk\]'"):
        write_results(tmp_path / "r.parquet")


def test_a_relative_image_path_is_relative_to_the_results_file() -> None:
    assert image_path("a/b.png", "/data/run/results.jsonl") == Path("/data/run/a/b.png")
    assert image_path("/else/b.png", "/data/run/results.jsonl") == Path("/else/b.png")
