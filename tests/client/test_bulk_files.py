"""Inputs as people have them: out of Excel, pandas, Windows and macOS."""

import base64
import csv
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.finding import images_in
from edit_rrm_client.bulk.input_row import InputRow
from edit_rrm_client.bulk.inputs import open_input

ROWS = [
    {"id": "1", "instruction": "换成蓝色, bitte; größer", "source": "a.png", "edited": "b.png"},
    {"id": "2", "instruction": "make it red", "source": "a.png", "edited": "b.png"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def written(file: Path, separator: str = ",", head: str = "") -> str:
    lines = [head] if head else []
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, ROWS[0], delimiter=separator)
        writer.writeheader()
        writer.writerows(ROWS)
    return "".join([*lines, file.read_bytes().decode()])


def rows_of(file: Path, encoding: str | None = None) -> list[InputRow]:
    return list(open_input(file, file.parent, encoding=encoding).rows())


def problem(file: Path) -> tuple[str, str, str]:
    (row,) = rows_of(file)
    assert row.problem is not None
    return row.problem.field, row.problem.code, row.problem.detail


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("head", ["", "sep={}\r\n", '"sep={}"\r\n'])
def test_a_table_out_of_excel_is_read_whatever_parts_and_encodes_it(
    folder: Path, separator: str, encoding: str, head: str
) -> None:
    file = folder / "edits.csv"
    file.write_bytes(written(file, separator, head.format(separator)).encode(encoding))
    found = rows_of(file)
    assert [(row.id, row.instruction, row.problem) for row in found] == [
        (row["id"], row["instruction"], None) for row in ROWS
    ]
    assert open_input(file, folder).count() == 2


def test_a_file_in_another_encoding_is_refused_by_name_and_read_when_it_is_named(folder: Path) -> None:
    file = folder / "edits.csv"
    file.write_bytes(written(file).replace("make it red", "换成红色").encode("gb18030"))
    with pytest.raises(InputError, match=r"is not UTF-8 \(line 2, byte 0x.*--encoding, such as gb18030"):
        rows_of(file)
    assert [row.instruction for row in rows_of(file, "gb18030")] == [ROWS[0]["instruction"], "换成红色"]
    assert (
        open_input(file, folder, encoding="gb18030").digest()
        != open_input(file, folder, encoding="cp1252").digest()
    )
    with pytest.raises(InputError, match="there is no encoding 'utf-9'"):
        rows_of(file, "utf-9")


def test_one_wrong_byte_costs_its_row_alone(folder: Path) -> None:
    file = folder / "edits.csv"
    file.write_bytes(written(file).encode().replace(b"make it red", b"make it ros\xe9"))
    good, bad = rows_of(file)
    assert good.problem is None
    assert bad.problem is not None
    assert (bad.row, bad.problem.code) == (2, "unreadable_row")
    assert "name the file's encoding with --encoding" in bad.problem.detail


def test_a_spreadsheet_itself_is_told_from_its_csv(folder: Path) -> None:
    (folder / "edits.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match="save the sheet as CSV"):
        open_input(folder / "edits.xlsx", folder)
    (folder / "edits.jsonl").write_text("")
    with pytest.raises(InputError, match="--encoding is for CSV files"):
        open_input(folder / "edits.jsonl", folder, encoding="cp1252")


def line(folder: Path, **values: Any) -> Path:
    file = folder / "edits.jsonl"
    row = {"id": "1", "instruction": "make it blue", "source": "a.png", "edited": "b.png", **values}
    file.write_text(json.dumps(row) + "\n")
    return file


def test_whole_numbers_that_pandas_made_floats_are_numbers(folder: Path) -> None:
    (row,) = rows_of(line(folder, id=12.0, candidate=3.0, category=float("nan")))
    assert (row.id, row.candidate, row.category, row.problem) == ("12", 3, "", None)
    file = folder / "edits.csv"
    file.write_text("instruction,source,edited,candidate\nx,a.png,b.png,2.0\n")
    assert [row.candidate for row in rows_of(file)] == [2]
    assert problem(line(folder, id=1.5)) == ("id", "bad_value", "expected text, got float 1.5")


@pytest.mark.parametrize("name", ["instruction", "source", "edited"])
def test_an_empty_value_is_told_from_a_missing_column(folder: Path, name: str) -> None:
    assert problem(line(folder, **{name: None})) == (
        name,
        "missing_value",
        f"the column {name!r} is empty in this row",
    )


def test_data_uris_and_base64_in_lines_are_read(folder: Path) -> None:
    text = base64.encodebytes(b"x" * 100).decode()
    assert "\n" in text.strip()
    (row,) = rows_of(line(folder, source=f"data:image/png;base64,{text}", edited=None, edited_image=text))
    assert (row.source_image, row.edited_image, row.problem) == (b"x" * 100, b"x" * 100, None)


@pytest.mark.parametrize("named", ["A.PNG", "sub\\c.png", "cafe\u0301.png"])
def test_files_are_found_by_the_names_people_give_them(folder: Path, named: str) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "c.png").write_bytes(b"c")
    (folder / "caf\u00e9.png").write_bytes(b"e")
    (folder / "A.png").write_bytes(b"A")
    (row,) = rows_of(line(folder, source=named))
    assert row.problem is None
    assert row.source_file is not None
    assert Path(row.source_file).is_file()


def laid_out(folder: Path, names: list[str], ids: list[Any]) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    lines = [json.dumps({"id": id_, "instruction": "make it blue"}) for id_ in ids]
    (folder / "instructions.jsonl").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    return folder


def test_a_folder_is_read_without_what_systems_hide_in_it(tmp_path: Path) -> None:
    names = ["source/1.png", "edited/flux/1.png", "edited/flux/._1.png", "edited/.cache/1.png"]
    found = rows_of(laid_out(tmp_path, [*names, "edited/__MACOSX/1.png", "source/.DS_Store"], [1.0]))
    assert [(row.id, row.model, row.problem) for row in found] == [("1", "flux", None)]


def test_candidates_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = [f"edited/flux/1/{number}.JPG" for number in (0, 1, 2, 10, 11)] + ["edited/flux/1/._3.jpg"]
    found = rows_of(laid_out(tmp_path, ["source/1.PNG", *names], ["1"]))
    assert [Path(row.edited_file or "").stem for row in found] == ["0", "1", "2", "10", "11"]
    assert [row.candidate for row in found] == [0, 1, 2, 3, 4]
    assert all(row.problem is None for row in found)
    assert [path.stem for path in images_in(tmp_path / "edited/flux/1")] == ["0", "1", "2", "10", "11"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_ids_find_their_images_however_accents_are_written(tmp_path: Path, form: str) -> None:
    name = unicodedata.normalize(form, "caf\u00e9")  # type: ignore[arg-type]
    names = [f"source/{name}.png", f"edited/flux/{name}/0.png", f"edited/bagel/{name}.png"]
    other = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "caf\u00e9")
    found = rows_of(laid_out(tmp_path, names, [other]))
    assert [(row.model, row.problem) for row in found] == [("bagel", None), ("flux", None)]
