"""Published preference data in its published layouts, written here as small files."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from edit_rrm.images import encode_png
from edit_rrm_shapes.cli.app import app as shapes_app
from edit_rrm_shapes.world.dataset_files import write_dataset
from edit_rrm_training.cli.app import app
from edit_rrm_training.data.layouts import (
    ranks,
    read_editreward_data,
    read_editscore_bench,
    read_gold_folder,
    read_tiger_bench,
)
from edit_rrm_training.data.pictures import load_image
from edit_rrm_training.data.preferences import read_pairs, without_same
from edit_rrm_training.errors import RowError
from guide_blocks import shown

PNG = encode_png(Image.new("RGB", (4, 3), (200, 0, 0)))
OTHER = encode_png(Image.new("RGB", (4, 3), (0, 0, 200)))


def image(data: bytes) -> dict[str, Any]:
    return {"bytes": data, "path": None}


def parquet(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


EDITREWARD = {
    "prompt": "Make the sandwich a hot dog.", "choice_dist": None, "path_src": "a/source.png",
    "path1": "a/one.png", "path2": "a/two.png", "model1": "m1", "model2": "m2",
    "model1_overall_score": 6, "model2_overall_score": 3, "tie_case": False,
}  # fmt: skip


def test_editreward_data_has_the_preferred_first_and_its_ties_are_same(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps([EDITREWARD, {**EDITREWARD, "tie_case": True}]))
    found = without_same(read_editreward_data(path))
    assert found.same == 1
    assert [(p.source, p.preferred, p.non_preferred) for p in found.pairs] == [
        ("a/source.png", "a/one.png", "a/two.png")
    ]


@pytest.mark.parametrize("field", ["prompt", "path1", "tie_case"])
def test_editreward_data_names_file_row_and_field_of_a_bad_row(tmp_path: Path, field: str) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps([EDITREWARD, {**EDITREWARD, field: None}]))
    with pytest.raises(RowError, match=rf"train\.json, row 2, field '{field}'"):
        list(read_editreward_data(path))


def editscore_row(**fields: Any) -> dict[str, Any]:
    return {
        "key": ["k1", "k2"], "instruction": "make it blue", "input_image": image(PNG),
        "output_images": [image(PNG), image(OTHER)], "task_type": "color_alter",
        "dimension": "overall", **fields,
    }  # fmt: skip


def test_editscore_s_bench_takes_the_first_output_for_preferred_unless_told(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet", editscore_row(), editscore_row(dimension="consistency"))
    first, second = read_editscore_bench(path)
    assert (first.preferred, first.non_preferred, first.category) == (PNG, OTHER, "overall")
    assert (second.id, second.category) == ("k1|k2|consistency", "consistency")
    assert next(read_editscore_bench(path, preferred_first=False)).preferred == OTHER


def test_editscore_s_bench_names_what_is_wrong(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet", editscore_row(dimension="beauty"))
    with pytest.raises(RowError, match=r"row 1, field 'dimension'"):
        list(read_editscore_bench(path))
    path = parquet(tmp_path / "none.parquet", editscore_row(input_image={"bytes": None, "path": None}))
    with pytest.raises(RowError, match=r"row 1, field 'input_image'"):
        list(read_editscore_bench(path))


def test_a_ranking_gives_ranks() -> None:
    assert ranks("B>A=C") == {"B": 0, "A": 1, "C": 1}
    assert ranks("A = B") == {"A": 0, "B": 0}
    for bad in ("A", "A>A", "A>", "A<B", "E>A"):
        with pytest.raises(ValueError, match="expected letters"):
            ranks(bad)


def test_tiger_lab_s_bench_reads_pairs_and_whole_rankings(tmp_path: Path) -> None:
    common = {"instruction": "make it blue", "source_image": image(PNG), "dataset": None}
    pairs = [
        {"id": "7_1", "ranking": "C>A", "comparison_type": "AvsC", "candidate_1": image(PNG),
         "candidate_2": image(OTHER), **common},
    ]  # fmt: skip
    whole = [
        {"id": "9", "ranking": "B>A=C", **common, "candidate_1": image(PNG), "candidate_2": image(OTHER),
         "candidate_3": image(PNG)},
    ]  # fmt: skip
    parquet(tmp_path / "2pair" / "x.parquet", *pairs)
    parquet(tmp_path / "3pair" / "x.parquet", *whole)
    found = list(read_tiger_bench(tmp_path))
    assert [(p.id, p.label, p.category) for p in found] == [
        ("7_1-AC", "prefer", "2pair"),
        ("9-AB", "prefer", "3pair"),
        ("9-AC", "same", "3pair"),
        ("9-BC", "prefer", "3pair"),
    ]
    assert (found[0].preferred, found[0].non_preferred) == (OTHER, PNG)  # C is the second picture


def test_tiger_lab_s_bench_refuses_a_ranking_of_other_candidates(tmp_path: Path) -> None:
    row = {"id": "1", "instruction": "x", "ranking": "A>D", "source_image": image(PNG),
           "candidate_1": image(PNG), "candidate_2": image(OTHER)}  # fmt: skip
    path = parquet(tmp_path / "x.parquet", row)
    with pytest.raises(RowError, match=r"row 1, field 'ranking'"):
        list(read_tiger_bench(path))


def write_gold_folder(folder: Path) -> None:
    """Two edits of three candidates, and a pair of each: the third candidate before the first."""
    write_dataset(folder, 3, 2, 3)
    edits = [json.loads(line)["id"] for line in (folder / "edits.jsonl").read_text().splitlines()]
    pairs = [
        {"id": f"of-{edit}", "edit": edit, "preferred": 2, "non_preferred": 0, "label": "prefer"}
        for edit in edits
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))


def test_a_folder_of_gold_edits_reads_with_its_principles(tmp_path: Path) -> None:
    write_gold_folder(tmp_path)
    found = list(read_gold_folder(tmp_path))
    assert [(pair.preferred, pair.non_preferred) for pair in found] == [
        ("images/3-0-2.png", "images/3-0-0.png"), ("images/3-1-2.png", "images/3-1-0.png"),
    ]  # fmt: skip
    assert all(pair.principles for pair in found)
    assert load_image(found[0].preferred, tmp_path).size == (96, 96)


def test_imported_pairs_find_their_pictures_from_where_they_are_written(tmp_path: Path) -> None:
    data = parquet(tmp_path / "bench" / "train.parquet", editscore_row())
    out = tmp_path / "elsewhere" / "pairs.jsonl"
    arguments = ["pairs", "import", "--layout", "editscore-bench", "--data", str(data), "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (pair,) = read_pairs(out).pairs
    assert load_image(pair.preferred, out.parent).getpixel((0, 0)) == (200, 0, 0)
    assert pair.preferred == pair.source  # equal bytes are one file

    write_gold_folder(tmp_path / "world")
    arguments[3:6:2] = ["gold-edits", str(tmp_path / "world")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert all(load_image(p.source, out.parent).size == (96, 96) for p in read_pairs(out).pairs)


def test_the_guide_s_commands_import_every_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.json").write_text(json.dumps([EDITREWARD]))
    for name in ("path_src", "path1", "path2"):
        picture = Path("images", EDITREWARD[name])
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(PNG)
    parquet(Path("EditReward-Bench/train.parquet"), editscore_row())
    row = {"id": "7_1", "dataset": None, "instruction": "make it blue", "source_image": image(PNG)}
    both = {"candidate_1": image(PNG), "candidate_2": image(OTHER)}
    parquet(Path("tiger/2pair/x.parquet"), {**row, **both, "ranking": "B>A", "comparison_type": "AvsB"})
    here = {
        "--count 2000": "--count 1",
        "/data/images": "images",
        "tiger-bench --data EditReward-Bench/": "tiger-bench --data tiger",
    }
    counts = []
    for program, *words in shown("rrm-data.md", 3, here):
        Path("pairs.jsonl").unlink(missing_ok=True)
        ended = CliRunner().invoke(shapes_app if program == "edit-rrm-shapes" else app, words)
        assert ended.exit_code == 0, ended.output
        found = read_pairs(Path("pairs.jsonl"))
        counts.append(len(found.pairs) + found.same)
    assert counts == [6, 1, 1, 1]
