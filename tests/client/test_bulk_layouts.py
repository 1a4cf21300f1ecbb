"""Folders as the public benchmarks' scripts leave them, read as rows."""

import json
from pathlib import Path

import pytest
from bulk_inputs import behind_httpx, by_content, jsonl
from typer.testing import CliRunner

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.input_row import InputRow
from edit_rrm_client.bulk.inputs import BulkInput, open_input
from edit_rrm_client.cli import app
from guide_blocks import shown

GEDIT = [
    {"key": "k1", "task_type": "color_alter", "instruction_language": "en", "instruction": "make it red"},
    {"key": "k1c", "task_type": "color_alter", "instruction_language": "cn", "instruction": "变成红色"},
    {"key": "k2", "task_type": "subject-add", "instruction_language": "en", "instruction": "add a ball"},
]


def gedit(folder: Path, *models: str, languages: tuple[str, ...] = ("en", "cn")) -> Path:
    for model in models:
        for edit in GEDIT:
            if edit["instruction_language"] in languages:
                place = folder / model / "fullset" / edit["task_type"] / edit["instruction_language"]
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{edit['key']}_SRCIMG.png").write_text(f"source {edit['key']}")
                (place / f"{edit['key']}.png").write_text(f"{model}/{edit['key']}")
    (folder / "edits.jsonl").write_text("".join(json.dumps(edit) + "\n" for edit in GEDIT))
    return folder


def rows(found: BulkInput) -> list[InputRow]:
    listed = list(found.rows())
    assert found.count() == len(listed)
    return listed


def test_every_model_of_a_gedit_folder_gets_a_row_for_every_edit_of_its_languages(tmp_path: Path) -> None:
    gedit(tmp_path, "flux", "kontext")
    gedit(tmp_path, "bagel", languages=("en",))
    (tmp_path / "flux/fullset/subject-add/en/k2.png").unlink()
    found = rows(open_input(tmp_path, tmp_path, layout="gedit", edits=tmp_path / "edits.jsonl"))
    assert [(row.id, row.model) for row in found] == [
        ("k1", "bagel"), ("k1", "flux"), ("k1", "kontext"), ("k1c", "flux"), ("k1c", "kontext"),
        ("k2", "bagel"), ("k2", "flux"), ("k2", "kontext"),
    ]  # fmt: skip
    assert [row.key for row in found if row.problem] == ["k2/flux/0"]
    assert found[3].instruction == "变成红色"
    assert {row.category for row in found} == {"color_alter", "subject-add"}


def test_one_model_s_own_folder_is_named_by_it_and_the_dataset_may_be_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    gedit(tmp_path, "flux")
    (tmp_path / "data").mkdir()
    with_pictures = [{**edit, "input_image": {"bytes": b"large", "path": None}} for edit in GEDIT]
    parquet.write_table(arrow.Table.from_pylist(with_pictures), tmp_path / "data/train-0.parquet")
    found = rows(open_input(tmp_path / "flux", tmp_path, layout="gedit", edits=tmp_path / "data"))
    assert [(row.key, row.model, row.problem) for row in found] == [
        (f"{key}/flux/0", "flux", None) for key in ("k1", "k1c", "k2")
    ]


def imgedit(folder: Path, *models: str) -> Path:
    edits = {
        "1082": {"id": "animal/1.jpg", "prompt": "smooth the shell", "edit_type": "adjust"},
        "7": {"id": "style/2.jpg", "prompt": "as a woodcut", "edit_type": "style"},
        "9": {"prompt": "no id"},
    }
    (folder / "basic_edit.json").write_text(json.dumps(edits))
    for edit in list(edits.values())[:2]:
        path = folder / "original_images" / edit["id"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"source of {edit['id']}")
    for model in models:
        (folder / "edited" / model).mkdir(parents=True, exist_ok=True)
        for key in edits:
            (folder / "edited" / model / f"{key}.png").write_text(f"{model}/{key}")
    return folder


def test_imgedit_s_keys_name_the_edited_images_and_ids_the_originals(tmp_path: Path) -> None:
    imgedit(tmp_path, "bagel", "kontext")
    own = {
        "layout": "imgedit",
        "edits": tmp_path / "basic_edit.json",
        "originals": tmp_path / "original_images",
    }
    found = rows(open_input(tmp_path / "edited", tmp_path, **own))  # type: ignore[arg-type]
    whole = [row for row in found if row.problem is None]
    assert [(row.id, row.model, row.category) for row in whole] == [
        (key, model, kind)
        for key, kind in (("1082", "adjust"), ("7", "style"))
        for model in ("bagel", "kontext")
    ]
    told = [row.problem.detail for row in found if row.problem]
    assert [("edit '9' needs `prompt` and an `id`" in line) for line in told] == [True, True]
    one = rows(open_input(tmp_path / "edited/bagel", tmp_path, **own))  # type: ignore[arg-type]
    assert {row.model for row in one if row.problem is None} == {"bagel"}


def test_pairs_of_editreward_are_two_rows_each(tmp_path: Path) -> None:
    pair = {
        "prompt": "add a hat",
        "path_src": "s.png",
        "path1": "a.png",
        "path2": "b.png",
        "model1": "m",
        "tie_case": False,
    }
    for name in ("s", "a", "b"):
        (tmp_path / f"{name}.png").write_text(name)
    (tmp_path / "pairs.json").write_text(json.dumps([pair, "no pair"]))
    first, second, *bad = rows(open_input(tmp_path / "pairs.json", tmp_path, layout="editreward"))
    assert (first.id, first.model, first.candidate) == ("pairs-1", "m", 0)
    assert (second.id, second.model, second.candidate) == ("pairs-1", "path2", 1)
    assert [row.problem is not None for row in bad] == [True, True]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "gedit"}, "needs --edits"),
        ({"layout": "gedit", "edits": "edits.jsonl", "originals": "."}, "--originals has no use"),
        ({"layout": "imgedit", "edits": "edits.jsonl"}, "needs --originals"),
        ({"layout": "imgedit", "edits": "none.json", "originals": "."}, "there is no such file"),
        ({"edits": "edits.jsonl"}, "need --layout"),
        ({"layout": "gedit", "edits": "empty"}, "no .parquet file"),
    ],
)
def test_what_a_layout_lacks_is_said(tmp_path: Path, options: dict[str, str], words: str) -> None:
    gedit(tmp_path, "flux")
    (tmp_path / "empty").mkdir()
    given = {name: value if name == "layout" else tmp_path / value for name, value in options.items()}
    with pytest.raises(InputError, match=words):
        rows(open_input(tmp_path, tmp_path, **given))  # type: ignore[arg-type]


def test_a_gedit_folder_is_scored_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gedit(tmp_path, "flux", "kontext")
    behind_httpx(monkeypatch, by_content({"flux/k1": 0.2, "kontext/k1": 0.9}))
    words = ["--layout", "gedit", "--edits", str(tmp_path / "edits.jsonl")]
    done = CliRunner().invoke(app, ["score", str(tmp_path), "-o", str(tmp_path / "r.jsonl"), *words])
    assert done.exit_code == 0, done.output
    scored = {row["key"]: row["reward"] for row in jsonl(tmp_path / "r.jsonl")}
    assert (scored["k1/flux/0"], scored["k1/kontext/0"], len(scored)) == (0.2, 0.9, 6)


def test_hidden_folders_are_no_models_and_no_path_leaves_its_folder(tmp_path: Path) -> None:
    gedit(tmp_path, "flux", "__MACOSX", ".git")
    (tmp_path / "__MACOSX/fullset").mkdir(parents=True, exist_ok=True)
    edits = [*GEDIT, {**GEDIT[0], "key": 7}, {**GEDIT[0], "task_type": ".."}, {**GEDIT[0], "key": "../x"}]
    (tmp_path / "edits.jsonl").write_text("".join(json.dumps(edit) + "\n" for edit in edits))
    found = rows(open_input(tmp_path, tmp_path, layout="gedit", edits=tmp_path / "edits.jsonl"))
    assert {row.model for row in found if not row.problem} == {"flux"}
    assert [row.id for row in found if row.problem is None or row.problem.code != "unreadable_row"] == [
        "k1", "k1c", "k2", "7",
    ]  # fmt: skip
    imgedit(tmp_path, "bagel")
    (tmp_path / "edited/grid.png").write_text("a sheet of all of them")
    listed = json.loads((tmp_path / "basic_edit.json").read_text())
    listed |= {
        str(n): {"id": path, "prompt": "x"} for n, path in enumerate(("/etc/passwd", "../../secret.jpg"))
    }
    (tmp_path / "basic_edit.json").write_text("\ufeff" + json.dumps(listed))
    own = {
        "layout": "imgedit",
        "edits": tmp_path / "basic_edit.json",
        "originals": tmp_path / "original_images",
    }
    found = rows(open_input(tmp_path / "edited", tmp_path, **own))  # type: ignore[arg-type]
    assert [(row.id, row.model) for row in found if row.problem is None] == [
        ("1082", "bagel"),
        ("7", "bagel"),
    ]


def test_a_path_too_long_for_any_file_costs_its_row_alone(tmp_path: Path) -> None:
    (tmp_path / "s.png").write_text("s")
    row = {"instruction": "x", "source": "s.png", "edited": "s.png"}
    lines = [row, {**row, "source": "a" * 300 + ".png"}, {**row, "edited": "b" * 5000 + ".png"}]
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [row.problem is not None for row in rows(open_input(tmp_path / "e.jsonl", tmp_path))] == [
        False,
        True,
        True,
    ]


def test_the_guide_s_commands_score_what_the_benchmarks_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    behind_httpx(monkeypatch, by_content({}))
    (tmp_path / "results").mkdir()
    gedit(tmp_path / "results", "flux")
    (tmp_path / "GEdit-Bench/data").mkdir(parents=True)
    parquet.write_table(arrow.Table.from_pylist(GEDIT), tmp_path / "GEdit-Bench/data/train.parquet")
    imgedit(tmp_path, "bagel")
    (tmp_path / "edited").rename(tmp_path / "edited_images")
    listed = json.loads((tmp_path / "basic_edit.json").read_text())
    (tmp_path / "basic_edit.json").write_text(json.dumps({key: listed[key] for key in ("1082", "7")}))
    pair = {"prompt": "add a hat", "path_src": "s.png", "path1": "a.png", "path2": "b.png"}
    for name in ("s", "a", "b"):
        (tmp_path / f"{name}.png").write_text(name)
    (tmp_path / "EditReward-Data.json").write_text(json.dumps([pair]))
    for _, *words in shown("bulk.md", 1, {}):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    assert [len(parquet.read_table(f"{name}.parquet")) for name in ("gedit", "imgedit", "pairs")] == [3, 2, 2]
