"""Inputs in their four layouts: the same rows from each, keys that stay, bad rows that name their field."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

import pytest

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.groups import Group, grouped
from edit_rrm_client.bulk.input_row import InputRow
from edit_rrm_client.bulk.inputs import open_input

EDITS = [
    {"id": "e1", "instruction": "blue", "source": "i/s.png", "edited": "i/a.png", "model": "flux"},
    {"id": "e1", "instruction": "blue", "source": "i/s.png", "edited": "i/b.png", "model": "flux"},
    {"id": "e1", "instruction": "blue", "source": "i/s.png", "edited": "i/a.png", "model": "kontext"},
    {"id": "e2", "instruction": "red", "source": "i/s.png", "edited": "i/b.png", "model": "flux"},
]


@pytest.fixture(autouse=True)
def _images(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    for name in ("s", "a", "b"):
        (tmp_path / f"i/{name}.png").write_text(name)


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_of(path: Path, results_folder: Path | None = None, **renamed: str) -> list[InputRow]:
    found = open_input(path, results_folder or path.parent, renamed)
    rows = list(found.rows())
    assert found.count() == len(rows)
    return rows


def problem_of(path: Path) -> tuple[int, str, str]:
    """Row, field and code of the only bad row."""
    [row] = [row for row in rows_of(path) if row.problem]
    assert row.problem is not None
    return row.row, row.problem.field, row.problem.code


def test_jsonl_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    from_jsonl = rows_of(lines(tmp_path / "e.jsonl", EDITS))
    with (tmp_path / "e.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, EDITS[0])
        writer.writeheader()
        writer.writerows(EDITS)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(EDITS), tmp_path / "e.parquet")
    assert from_jsonl == rows_of(tmp_path / "e.csv") == rows_of(tmp_path / "e.parquet")
    assert [row.key for row in from_jsonl] == ["e1/flux/0", "e1/flux/1", "e1/kontext/0", "e2/flux/0"]
    assert [row.row for row in from_jsonl] == [1, 2, 3, 4]
    assert not any(row.problem for row in from_jsonl)


def test_rows_name_their_files_from_the_results_folder_and_absolute_paths_stay(tmp_path: Path) -> None:
    absolute = str(tmp_path / "i/a.png")
    path = lines(tmp_path / "e.jsonl", [EDITS[0], {**EDITS[3], "edited": absolute}])
    (tmp_path / "out").mkdir()
    first, second = rows_of(path, tmp_path / "out")
    assert (first.source, first.source_file) == ("../i/s.png", str(tmp_path / "i/s.png"))
    assert (second.edited, second.edited_file) == (absolute, absolute)


def test_embedded_images_are_bytes_base64_or_as_datasets_stores_them(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    text = base64.b64encode(b"pixels").decode()
    row = {"instruction": "blue", "source_image": text, "edited_image": text}
    [from_jsonl] = rows_of(lines(tmp_path / "e.jsonl", [row]))
    stored = {
        "instruction": "blue",
        "source": {"bytes": b"pixels", "path": "x.png"},
        "edited_image": b"pixels",
    }
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([stored]), tmp_path / "e.parquet")
    [from_parquet] = rows_of(tmp_path / "e.parquet")
    assert from_jsonl.source_image == from_parquet.source_image == b"pixels"
    assert from_jsonl.edited_image == from_parquet.edited_image == b"pixels"
    assert from_jsonl.id == from_parquet.id  # made of the image and the instruction


SEVERAL = {**EDITS[0], "source_2": "i/a.png", "source_3": "i/b.png"}


def test_further_sources_stand_in_columns_of_their_own_in_every_layout(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [SEVERAL, {**SEVERAL, "edited": "i/b.png"}, EDITS[1]]
    from_jsonl = rows_of(lines(tmp_path / "e.jsonl", rows))
    with (tmp_path / "e.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, SEVERAL)
        writer.writeheader()
        writer.writerows(rows)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "e.parquet")
    assert from_jsonl == rows_of(tmp_path / "e.csv") == rows_of(tmp_path / "e.parquet")
    paths = tuple(str(tmp_path / f"i/{name}.png") for name in "sab")
    assert [row.sources for row in from_jsonl] == [paths, paths, paths[:1]]
    assert [source.path for source in from_jsonl[0].more_sources] == ["i/a.png", "i/b.png"]
    assert [len(group.rows) for group in grouped(from_jsonl)] == [2, 1]
    assert not any(row.problem for row in from_jsonl)


def test_a_source_of_its_own_makes_another_edit_and_one_source_the_same_as_ever(tmp_path: Path) -> None:
    bare = {name: EDITS[0][name] for name in ("instruction", "source", "edited")}
    rows = [
        bare,
        {**bare, "source_2": "i/a.png"},
        {**bare, "source_2": "i/b.png"},
        {**bare, "source_2": None},
    ]
    found = rows_of(lines(tmp_path / "e.jsonl", rows))
    assert len({row.id for row in found}) == 3
    assert found[0].id == found[3].id == "c067385e245f61e9"


def test_further_sources_may_be_embedded_named_otherwise_or_in_a_folders_instructions(tmp_path: Path) -> None:
    row = {**EDITS[0], "hat": {"bytes": b64(b"hat"), "path": "hat.png"}, "source_3_image": b64(b"bag")}
    [found] = rows_of(lines(tmp_path / "e.jsonl", [row]), source_2="hat")
    assert found.sources == (str(tmp_path / "i/s.png"), b"hat", b"bag")
    [group] = grouped([found])
    assert Group.model_validate_json(group.model_dump_json()) == group  # as it is spooled for a cluster
    for path in ("source/e1.png", "edited/flux/e1.png", "hats/1.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    lines(tmp_path / "instructions.jsonl", [{"id": "e1", "instruction": "x", "source_2": "hats/1.png"}])
    [listed] = rows_of(tmp_path)
    assert listed.sources == (str(tmp_path / "source/e1.png"), str(tmp_path / "hats/1.png"))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_folder_gives_every_model_a_row_for_every_edit(tmp_path: Path) -> None:
    for path in ("source/e1.jpg", "source/e2.png", "edited/flux/e1/0.png", "edited/flux/e1/1.webp"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    for path in ("edited/kontext/e1.png", "edited/kontext/e2.png", "edited/kontext/stray.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    lines(
        tmp_path / "instructions.jsonl",
        [{"id": "e1", "instruction": "blue", "category": "colour"}, {"id": "e2", "instruction": "red"}],
    )
    rows = rows_of(tmp_path, tmp_path)
    assert [(row.key, row.problem.code if row.problem else "") for row in rows] == [
        ("e1/flux/0", ""),
        ("e1/flux/1", ""),
        ("e1/kontext/0", ""),
        ("e2/flux/0", "missing_file"),
        ("e2/kontext/0", ""),
        ("stray/kontext/0", "missing_column"),
    ]
    assert (rows[0].category, rows[0].source) == ("colour", "source/e1.jpg")


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"instruction": None}, "instruction", "missing_value"),
        ({"instruction": " \n"}, "instruction", "empty_instruction"),
        ({"instruction": 4 * 1001 * "x"}, "instruction", "long_instruction"),
        ({"instruction": {"a": 1}}, "instruction", "bad_value"),
        ({"source": "i/none.png"}, "source", "missing_file"),
        ({"source": "i"}, "source", "missing_file"),
        ({"edited": None}, "edited", "missing_value"),
        ({"edited": 7}, "edited", "bad_value"),
        ({"edited_image": "no base64"}, "edited_image", "bad_image"),
        ({"candidate": -1}, "candidate", "bad_value"),
        ({"id": 1.5}, "id", "bad_value"),
        ({"model": "\ud800"}, "model", "bad_value"),
        ({"edited": "\ud800"}, "edited", "bad_value"),
        ({"key": "e1/flux/0"}, "key", "duplicate_key"),
        ({"source_3": "i/a.png"}, "source_3", "source_gap"),
        ({"source_2": "i/a.png", "source_4_image": "eA=="}, "source_4", "source_gap"),
        ({"source": None, "source_2": "i/a.png"}, "source", "missing_value"),
        ({"source_2": "i/none.png"}, "source_2", "missing_file"),
        ({"source_2_image": "no base64"}, "source_2_image", "bad_image"),
        ({f"source_{n}": "i/a.png" for n in (2, 3, 4, 5)}, "source_5", "too_many_sources"),
    ],
)
def test_a_bad_row_names_row_and_field_and_costs_no_other(
    tmp_path: Path, changes: dict[str, Any], field: str, code: str
) -> None:
    path = lines(tmp_path / "e.jsonl", [EDITS[0], {**EDITS[3], **changes}, EDITS[2]])
    assert problem_of(path) == (2, field, code)


@pytest.mark.parametrize("line", ["nope", "[1]", '{"id": "e1"', "[" * 100_000])
def test_a_line_that_is_no_object_is_a_bad_row(tmp_path: Path, line: str) -> None:
    path = lines(tmp_path / "e.jsonl", EDITS)
    path.write_text(line + "\n" + path.read_text())
    assert problem_of(path) == (1, "row", "unreadable_row")


def test_rows_of_an_edit_that_are_apart_repeat_a_key_and_are_told_how_to_mend_it(tmp_path: Path) -> None:
    rows = rows_of(lines(tmp_path / "e.jsonl", [EDITS[0], EDITS[3], EDITS[0]]))
    assert [row.key for row in rows] == ["e1/flux/0", "e2/flux/0", "e1/flux/0#3"]
    assert rows[2].problem is not None
    assert "column `candidate`" in rows[2].problem.detail
    numbered = [{**row, "candidate": place} for place, row in enumerate([EDITS[0], EDITS[3], EDITS[0]])]
    assert not any(row.problem for row in rows_of(lines(tmp_path / "e.jsonl", numbered)))


def test_a_csv_with_a_short_line_keeps_the_others(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("instruction,source,edited\nblue,i/s.png\nred,i/s.png,i/a.png\n")
    assert problem_of(tmp_path / "e.csv") == (1, "row", "unreadable_row")


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    row = {"prompt": "blue", "input_image": "i/s.png", "edited": "i/a.png"}
    path = lines(tmp_path / "e.jsonl", [row])
    [found] = rows_of(path, instruction="prompt", source="input_image")
    assert (found.instruction, found.source, found.problem) == ("blue", "i/s.png", None)
    names = {"instruction": "prompt", "source": "input_image"}
    assert (
        open_input(path, tmp_path, names).digest() != open_input(path, tmp_path, names | {"id": "x"}).digest()
    )
    with pytest.raises(InputError, match="no column 'nope' to rename"):
        open_input(path, tmp_path, {"nope": "x"})


def test_an_input_in_which_no_row_could_be_scored_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("prompt,source,edited\n")
    with pytest.raises(
        InputError, match=r"e\.csv: there is no column 'instruction' among: edited, prompt, source"
    ):
        open_input(tmp_path / "e.csv", tmp_path)
    for name, words in (
        ("none.jsonl", "no such file"),
        ("e.txt", "ending in"),
        ("i", "a folder to score holds"),
    ):
        (tmp_path / "e.txt").touch()
        with pytest.raises(InputError, match=words):
            list(open_input(tmp_path / name, tmp_path).rows())


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("instruction", "no column 'instruction' among: edited, source; if yours has another name"),
        ("source", "no column 'source' among: edited, instruction;"),
        ("edited", "no column 'edited' among: instruction, source;"),
    ],
)
def test_json_lines_of_which_none_has_a_column_are_refused_at_once(
    tmp_path: Path, lacking: str, words: str
) -> None:
    whole = {"instruction": "blue", "source": "i/s.png", "edited": "i/a.png"}
    lame = {name: value for name, value in whole.items() if name != lacking}
    with pytest.raises(InputError, match=words):
        open_input(lines(tmp_path / "e.jsonl", [lame] * 3), tmp_path)
    # One row with it makes the others bad rows, each for itself.
    numbered = [{**row, "key": str(place)} for place, row in enumerate([lame, whole, lame])]
    rows = rows_of(lines(tmp_path / "e.jsonl", numbered))
    assert [row.problem and row.problem.code for row in rows] == ["missing_column", None, "missing_column"]


def test_json_lines_of_which_none_can_be_read_are_left_to_their_rows(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text("{\n[1]\n")
    assert [row.problem and row.problem.code for row in rows_of(tmp_path / "e.jsonl")] == [
        "unreadable_row"
    ] * 2


def test_the_digest_follows_the_rows(tmp_path: Path) -> None:
    path = lines(tmp_path / "e.jsonl", EDITS)
    before = open_input(path, tmp_path).digest()
    assert open_input(path, tmp_path / "elsewhere").digest() == before
    lines(path, EDITS[1:])
    assert open_input(path, tmp_path).digest() != before


def test_neighbours_of_one_edit_make_a_group_up_to_its_bounds(tmp_path: Path) -> None:
    rows = rows_of(lines(tmp_path / "e.jsonl", EDITS))

    def sizes(**bounds: int) -> list[int]:
        return [len(group.rows) for group in grouped(rows, **bounds)]

    assert sizes() == [3, 1]
    assert sizes(most=2) == [2, 1, 1]
    assert sizes(most_bytes=2) == [2, 1, 1]  # an image here is one byte
    assert sizes(most_bytes=0) == [1, 1, 1, 1]
