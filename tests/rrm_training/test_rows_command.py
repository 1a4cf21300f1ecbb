"""`edit-rrm-train rows`: what it writes, what it refuses, and that it goes on where it was killed."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from row_files import decompose, jsonl, parquet, picture, saved_dataset, tar, verify, write_pictures
from typer.testing import CliRunner

from edit_rrm_shapes.cli.app import app as shapes_app
from edit_rrm_training.cli.app import app
from edit_rrm_training.data import row_shards
from edit_rrm_training.data.jsonl import read_rows
from edit_rrm_training.data.pictures import load_image
from edit_rrm_training.data.row_store import row_at, store_rows
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.data.shards import shards
from edit_rrm_training.pipeline import mixing
from guide_blocks import shown

runner = CliRunner()


def call(*words: object, status: int = 0) -> str:
    ended = runner.invoke(app, ["rows", *map(str, words)], env={"COLUMNS": "300"})
    assert ended.exit_code == status, ended.output
    return " ".join(ended.output.split())


def rows_of(place: Path) -> list[SftRow]:
    return [row for file in shards(place) for row in read_rows(file, SftRow)]


def shade(row: SftRow, folder: Path) -> int:
    """What tells sources apart."""
    pixel = load_image(row.source, folder).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel[0]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Eight verifications and two decompositions of two edits, with pictures."""
    write_pictures(tmp_path / "mine", 2)
    rows = [verify(n % 2, id=f"v{n}", completion=_trace(n), category=f"kind {n % 2}") for n in range(8)]
    return jsonl(tmp_path / "mine" / "rows.jsonl", *rows, decompose(0), decompose(1))


def _trace(score: int) -> str:
    return f"1. a => 1\n2. b => 1\n3. c => 0\naverage 0.67\n<score>{score}.0</score>"


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_the_set_is_mixed_shuffled_and_in_shards_whose_pictures_are_found(
    mine: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "deep" / "sft"
    said = call("--from", mine, "--out", out, "--format", kind, "--shard-rows", 4)
    assert "10 rows in" in said
    assert f"edit-rrm-train sft --config sft_7b_lora --set rows=[{out}]" in said
    names = [f"rows-0000{n}-of-00003.{kind}" for n in (1, 2, 3)]
    assert sorted(path.name for path in out.iterdir()) == ["mix.json", *names]
    assert [len(list(read_rows(out / name, SftRow))) for name in names] == [4, 4, 2]
    given = list(read_rows(mine, SftRow))
    written = rows_of(out)
    assert sorted(row.id for row in written) == sorted(row.id for row in given)
    assert [row.id for row in written] != [row.id for row in given]
    row = next(row for row in written if row.id == "v3")
    assert (row.completion, row.category, row.principles) == (_trace(3), "kind 1", given[3].principles)
    assert shade(row, out) == 1


def test_shares_what_is_held_out_and_what_was_left_are_told(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "sft"
    said = call("--from", mine, "--out", out, "--share", "verify=0.5", "--share", "decompose=0.5",
                "--validation", 0.5)  # fmt: skip
    # Of each of the two edits: four verifications and one decomposition; half are decompositions.
    assert "all │ 1 │ 1 │ 1 │ 1" in said
    assert "6 not used, for the shares or the count: verify 6" in said
    assert f"--set validation_rows=[{out / 'validation'}]" in said
    train, held = rows_of(out), rows_of(out / "validation")
    assert {shade(row, out) for row in train} | {shade(row, out / "validation") for row in held} == {0, 1}
    assert {row.instruction for row in train}.isdisjoint({row.instruction for row in held})


def test_bad_rows_are_left_out_by_file_and_line_or_end_it(mine: Path, tmp_path: Path) -> None:
    bad = jsonl(tmp_path / "mine" / "bad.jsonl", verify(0, completion="fine"), "{",
                verify(7, completion=_trace(1)), verify(0))  # fmt: skip
    out = tmp_path / "sft"
    said = call("--from", mine, "--from", bad, "--out", out)
    assert "11 rows in" in said
    assert (
        f"3 refused ({out / 'refused.ndjson'}): completion: expected N lines for N principles, got N 1"
        in said
    )
    refused = [json.loads(line) for line in (out / "refused.ndjson").read_text().splitlines()]
    assert [(each["file"], each["row"], each["field"]) for each in refused] == [
        (str(bad), 1, "completion"), (str(bad), 2, ""), (str(bad), 3, "source")
    ]  # fmt: skip
    assert "7.png" in refused[2]["problem"]
    for number, options in enumerate([("--strict",), ("--bad-rows", "2")]):
        said = call("--from", bad, "--out", tmp_path / str(number), *options, status=1)
        assert f"more than {2 * number} bad rows (--bad-rows): {bad}, row {2 * number + 1}" in said
    assert call("--from", bad, "--out", tmp_path / "unlooked", "--no-check-pictures").count("2 refused")


def test_equal_rows_are_taken_once(mine: Path, tmp_path: Path) -> None:
    another = decompose(0, source="candidate.png")
    again = jsonl(mine.with_name("again.jsonl"), decompose(0, id="other"), another)
    said = call("--from", mine, "--from", again, "--out", tmp_path / "sft")
    assert "1 equal to an earlier row: decompose 1" in said
    assert "11 rows in" in said


def test_killed_while_it_writes_it_goes_on_and_the_set_is_the_same(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--from", mine, "--shard-rows", 4, "--seed", 3)
    call(*options, "--out", tmp_path / "straight")
    write = row_shards.write_shard

    def killed(path: Path, rows: object) -> None:
        if "00002" in path.name:
            path.with_name(path.name + ".partial").write_text("half")
            raise OSError("killed")
        write(path, rows)  # type: ignore[arg-type]

    out = tmp_path / "sft"
    with monkeypatch.context() as patched:
        patched.setattr(mixing, "write_shard", killed)
        assert "killed" in call(*options, "--out", out, status=1)
    first = (out / "rows-00001-of-00003.parquet").stat().st_mtime_ns
    call(*options, "--out", out)
    assert (out / "rows-00001-of-00003.parquet").stat().st_mtime_ns == first
    assert rows_of(out) == rows_of(tmp_path / "straight")
    assert not list(out.glob(".*"))
    assert not list(out.glob("*.partial"))
    assert "10 rows in" in call(*options, "--out", out)  # it is done; nothing is read
    mine.unlink()
    other = jsonl(mine, verify(0))
    said = call("--from", other, "--out", out, status=1)
    assert "holds a set of other files or settings (mix.json says which)" in said


def test_pictures_in_rows_and_archives_come_along(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2)
    inside = {**decompose(0), "source": {"bytes": picture(50), "path": None}}
    places = (
        tar(tmp_path / "a.tar", verify(0)),
        saved_dataset(tmp_path / "saved", decompose(1)),
        parquet(tmp_path / "b.parquet", inside),
    )
    words = [word for place in places for word in ("--from", place)]
    call(*words, "--out", tmp_path / "sft")
    for place in places[::2]:
        place.unlink()
    found = {row.id: shade(row, tmp_path / "sft") for row in rows_of(tmp_path / "sft")}
    assert found == {"v0": 0, "d1": 0, "d0": 50}
    table = pq.read_table(tmp_path / "sft" / "rows-00001-of-00001.parquet")
    assert table.schema.field("source").type.field("bytes").type == "binary"  # as Hugging Face has images
    stored = store_rows(shards(tmp_path / "sft"), tmp_path / "store")
    assert isinstance(row_at(stored[0])[0].source, bytes)


def test_rows_of_one_edit_are_known_however_their_pictures_are_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, 1)
    named = ("0.png", str(tmp_path / "0.png"), "./none/../0.png", "shapes:1/0/source", "shapes:1/0/source")
    rows = [SftRow.model_validate(decompose(0, source=source)) for source in named]
    path, absolute, roundabout, drawn, elsewhere = (
        row.edit_key(tmp_path if place < 4 else tmp_path / "b") for place, row in enumerate(rows)
    )
    assert path == absolute == roundabout != drawn == elsewhere
    inside = list(read_rows(tar(tmp_path / "a.tar", decompose(0), verify(0), decompose(1)), SftRow))
    first, same, other = (row.edit_key(tmp_path) for row in inside)
    assert first == same != other


def test_many_rows_of_many_kinds_are_counted_as_they_are(tmp_path: Path) -> None:
    """More than a batch of the table, categories in other orders in each."""
    write_pictures(tmp_path, 1)
    rows = [decompose(0, instruction=f"make it {n}", category=f"kind {n // 500}" if n < 2000 else None)
            for n in range(2500)]  # fmt: skip
    call("--from", jsonl(tmp_path / "rows.jsonl", *rows), "--out", tmp_path / "sft", "--shard-rows", 1000)
    counts = json.loads((tmp_path / "sft" / "mix.json").read_text())["report"]["train"]["decompose"]
    assert counts == {"": 500, "kind 0": 500, "kind 1": 500, "kind 2": 500, "kind 3": 500}
    assert len(shards(tmp_path / "sft")) == 3


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--share", "verify=0.5"), "the shares make 0.5, not 1"),
        (("--share", "verify"), "expected TASK=SHARE"),
        (("--share", "think=1"), "of one of verify, decompose, score_only"),
        (("--share", "verify=1.5"), "expected a share from 0 to 1"),
    ],
)
def test_shares_that_are_none_are_refused(
    words: tuple[str, ...], problem: str, mine: Path, tmp_path: Path
) -> None:
    assert problem in call("--from", mine, "--out", tmp_path / "sft", *words, status=2)


def test_a_place_without_rows_and_a_mix_without_a_kind_are_said(mine: Path, tmp_path: Path) -> None:
    assert "no such file or folder" in call("--from", tmp_path / "none", "--out", tmp_path / "sft", status=1)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "decomposed.jsonl").touch()
    said = call("--from", tmp_path / "run", "--out", tmp_path / "sft", status=1)
    assert "first run `pipeline select`" in said
    said = call("--from", mine, "--out", tmp_path / "sft", "--share", "score_only=1", status=1)
    assert "no row is left to train on" in said


def test_the_guide_s_command_makes_a_set_of_the_pipeline_s_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    programs = {"edit-rrm-train": app, "edit-rrm-shapes": shapes_app}
    write_pictures(tmp_path / "mine", 2)
    parquet(tmp_path / "mine" / "a.parquet", verify(0), verify(1))
    jsonl(tmp_path / "more.jsonl", *(decompose(n, source=f"mine/{n}.png") for n in range(2)))
    fewer = {"--count 7500": "--count 20", "--per-editor 4": "--per-editor 2"}
    mix = {"--validation 0.01": "--validation 0.1"}
    for program, *words in [*shown("rrm-data.md", 0, fewer), *shown("rrm-data.md", 2, mix)]:
        ended = runner.invoke(programs[program], words)
        assert ended.exit_code == 0, ended.output
    assert len(rows_of(Path("data/mine"))) == 4
    train, held = rows_of(Path("data/sft")), rows_of(Path("data/sft/validation"))
    # 20 edits, two of them held out, of two candidates each: of 18 × 2 verifications a fifth beside them.
    assert sum(row.task == "verify" for row in held) == 4
    assert sum(row.task == "verify" for row in train) == 36
    assert sum(row.task == "decompose" for row in train) == 9
    assert {row.selection for row in train} == {"think+verify", "decompose"}
    assert all(row.category for row in train)
