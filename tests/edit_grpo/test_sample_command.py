"""`edit-grpo sample`: pictures, resuming, parts, failures, and lists that `edit-rrm score` reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from linear_editor import LinearEditor
from PIL import Image
from small_runs import small_settings, train
from typer.testing import CliRunner, Result

from edit_grpo.cli.app import app
from edit_grpo.policies import loading
from edit_grpo.policies.settings import PolicySettings
from edit_grpo.rollout.ode_sampling import sample_ode
from edit_grpo.rollout.rollout import seed_of
from edit_rrm_client.bulk.input_row import InputRow
from edit_rrm_client.bulk.inputs import open_input

Command = Callable[..., Result]


class Loaded:
    """What every loading of an editor gives, and how often that was asked for."""

    def __init__(self) -> None:
        self.editor = LinearEditor()
        self.asked: list[PolicySettings] = []

    def __call__(self, settings: PolicySettings, *_: object, **__: object) -> LinearEditor:
        self.asked.append(settings)
        return self.editor


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Loaded:
    found = Loaded()
    monkeypatch.setattr(loading, "load_policy", found)
    return found


@pytest.fixture
def sample(tmp_path: Path, loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command on an editor whose pictures have 8×8 pixels; everything is below `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    Path("editor").mkdir()
    return lambda *words: CliRunner().invoke(
        app, ["sample", "--checkpoint", "editor", "--steps", "3", *map(str, words)]
    )


def edit_list(*changes: dict[str, Any], count: int = 4, size: tuple[int, int] = (8, 8)) -> Path:
    """An edit list whose sources are grey; `changes` are of its first rows."""
    rows = []
    for number in range(count):
        Image.new("RGB", size, (60 * number,) * 3).save(f"s{number}.png")
        changed = changes[number] if number < len(changes) else {}
        rows.append({"id": f"e{number}", "source": f"s{number}.png", "instruction": "make it red", **changed})
    path = Path("edits.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def pictures(folder: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).glob("e*.png")}


def lines(path: str | Path) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def rows_to_score(file: Path) -> list[InputRow]:
    return list(open_input(file, file.parent).rows())


def test_a_picture_is_the_ode_from_noise_of_seed_edit_and_number_alone(
    sample: Command, loaded: Loaded
) -> None:
    done = sample("--edits", edit_list(), "--out", "out", "--per-edit", 2, "--seed", 5)
    assert done.exit_code == 0, done.output
    editor = loaded.editor
    condition = editor.encode([[Image.open("s2.png")]], ["make it red"])
    noise = editor.noise(condition, torch.Generator().manual_seed(seed_of("sample", 5, "e2", 1)))
    (expected,) = editor.decode(sample_ode(editor, condition, noise, 3))
    assert expected is not None
    assert np.abs(np.asarray(expected, int) - np.asarray(Image.open("out/e2-1.png"), int)).max() <= 1
    assert sorted(pictures("out")) == sorted(f"e{n}{end}.png" for n in range(4) for end in ("", "-1"))


def test_the_list_that_is_written_can_be_scored_as_it_is(sample: Command) -> None:
    sample("--edits", edit_list({"category": "colour"}), "--out", "out", "--per-edit", 2, "--name", "mine")
    rows = rows_to_score(Path("out/edits.jsonl"))
    assert [row.key for row in rows] == [f"e{n}/mine/{c}" for n in range(4) for c in range(2)]
    assert all(row.problem is None for row in rows)
    assert (rows[0].category, rows[0].source, rows[1].edited) == ("colour", "../s0.png", "e0-1.png")


def test_what_is_there_is_not_made_again(sample: Command, loaded: Loaded) -> None:
    words = ("--edits", edit_list(), "--out", "out")
    first = sample(*words)
    made = pictures("out")
    Path("out/e1.png").unlink()
    loaded.editor.rows.clear()
    second = sample(*words)
    assert "4 pictures made, 0 were there" in first.output
    assert "1 pictures made, 3 were there" in second.output
    assert loaded.editor.rows == [1, 1, 1]  # one row in each of three steps
    assert pictures("out") == made


def test_more_pictures_of_each_edit_leave_the_first_ones(sample: Command) -> None:
    words = ("--edits", edit_list(), "--out", "out")
    sample(*words)
    made = pictures("out")
    assert "4 pictures made, 4 were there" in sample(*words, "--per-edit", 2).output
    assert {name: pictures("out")[name] for name in made} == made


def test_parts_make_what_the_whole_makes_and_the_whole_then_loads_no_editor(
    sample: Command, loaded: Loaded
) -> None:
    words = ("--edits", edit_list(), "--batch", 1)
    sample(*words, "--out", "whole")
    for number in (2, 1):
        part = sample(*words, "--out", "parts", "--shard", f"{number}/2")
        assert "2 pictures made" in part.output
        assert "when all 2 parts are done" in part.output
    assert [line["id"] for line in lines("parts/edits.1-of-2.jsonl")] == ["e0", "e2"]
    loads = len(loaded.asked)
    assert "0 pictures made, 4 were there" in sample(*words, "--out", "parts").output
    assert len(loaded.asked) == loads
    assert pictures("parts") == pictures("whole")
    expected = [{**line, "model": "editor"} for line in lines("whole/edits.jsonl")]
    assert lines("parts/edits.jsonl") == expected


def test_sizes_are_batched_apart(sample: Command, loaded: Loaded) -> None:
    path = edit_list(count=6)
    for number in (1, 3, 5):
        Image.new("RGB", (16, 8)).save(f"s{number}.png")
    sample("--edits", path, "--out", "out", "--batch", 2)
    assert loaded.editor.rows == [2] * 6 + [1] * 6  # two full batches, then what is left of each size


def test_a_bad_edit_is_named_and_costs_no_other(sample: Command) -> None:
    path = edit_list({"source": "nowhere.png"}, {"instruction": " "}, count=5)
    Path("s2.png").write_bytes(b"no picture")
    done = sample("--edits", path, "--out", "out")
    assert done.exit_code == 1
    assert "2 pictures made, 0 were there, 3 failed" in done.output
    failed = {line["id"]: (line["row"], line["detail"]) for line in lines("out/failures.jsonl")}
    assert {name: row for name, (row, _) in failed.items()} == {"e0": 1, "e1": 2, "e2": 3}
    assert "there is no file" in failed["e0"][1]
    assert "the instruction is empty" in failed["e1"][1]
    assert "a source cannot be read" in failed["e2"][1]
    assert [line["id"] for line in lines("out/edits.jsonl")] == ["e3", "e4"]
    Image.new("RGB", (8, 8)).save("s2.png")
    again = sample("--edits", path, "--out", "out")
    assert "1 pictures made, 2 were there, 2 failed" in again.output


def test_a_picture_that_is_not_finite_is_a_failure_and_its_batch_s_others_are_made(
    sample: Command, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = LinearEditor.decode
    monkeypatch.setattr(
        LinearEditor,
        "decode",
        lambda self, latents: decode(self, torch.where(torch.arange(len(latents)) == 1, torch.nan, 1.0)
                                     .reshape(-1, 1, 1, 1) * latents),
    )  # fmt: skip
    done = sample("--edits", edit_list(), "--out", "out")
    assert done.exit_code == 1
    (line,) = lines("out/failures.jsonl")
    assert (line["id"], line["kind"], line["detail"]) == (
        "e1", "DecodeError", "the edited picture is not finite",
    )  # fmt: skip
    assert sorted(pictures("out")) == ["e0.png", "e2.png", "e3.png"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--seed", "1"), "seed"),
        (("--set", "area_pixels=4096"), "policy.area_pixels"),
        (("--steps", "4"), "steps"),
    ],
)
def test_a_folder_of_pictures_made_otherwise_is_not_gone_on_with(
    sample: Command, words: tuple[str, ...], named: str
) -> None:
    path = edit_list()
    sample("--edits", path, "--out", "out")
    done = sample("--edits", path, "--out", "out", *words)
    assert done.exit_code == 2
    assert f"made otherwise ({named})" in done.output


def test_another_list_or_other_weights_are_noticed_and_a_stranger_s_folder_is_left_alone(
    sample: Command,
) -> None:
    Path("editor/model.safetensors").write_bytes(b"a")
    sample("--edits", edit_list(), "--out", "out")
    assert "(edits)" in sample("--edits", edit_list(count=5), "--out", "out").output
    Path("editor/model.safetensors").write_bytes(b"b")
    assert "(weights)" in sample("--edits", edit_list(), "--out", "out").output
    Path("strange").mkdir()
    Path("strange/notes.txt").write_text("mine")
    refused = sample("--edits", edit_list(), "--out", "strange")
    assert refused.exit_code == 2
    assert "'notes.txt', which this command did not make" in refused.output


def test_ids_that_are_no_file_names_get_one_and_rows_that_repeat_an_edit_are_it_once(sample: Command) -> None:
    path = edit_list({"id": "../e 0"}, {}, {"id": "e1", "source": "s1.png"}, {"id": "e1", "source": "s0.png"})
    done = sample("--edits", path, "--out", "out")
    assert done.exit_code == 1
    listed = lines("out/edits.jsonl")
    assert [line["id"] for line in listed] == ["../e 0", "e1"]
    assert Path("out", listed[0]["edited"]).parent == Path("out")
    (failure,) = lines("out/failures.jsonl")
    assert (failure["row"], "another id" in failure["detail"]) == (4, True)


def test_an_edit_whose_second_picture_would_be_another_s_is_refused(sample: Command) -> None:
    path = edit_list({"id": "e"}, {"id": "e-1"}, {"id": "contact-sheet"}, count=3)
    sample("--edits", path, "--out", "one")
    assert [line["id"] for line in lines("one/failures.jsonl")] == ["contact-sheet"]
    sample("--edits", path, "--out", "two", "--per-edit", 2)
    assert [line["id"] for line in lines("two/failures.jsonl")] == ["e-1"] * 2 + ["contact-sheet"] * 2


def test_a_source_that_the_editor_saw_in_another_size_is_kept_and_shown(
    sample: Command, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LinearEditor, "prepare", lambda self, source: source.resize((8, 8)))
    path = edit_list(count=2)
    Image.new("RGB", (40, 20)).save("s1.png")
    sample("--edits", path, "--out", "out")
    assert [line["source"] for line in lines("out/edits.jsonl")] == ["../s0.png", "sources/e1.png"]
    assert Image.open("out/sources/e1.png").size == (8, 8)


def test_tables_with_names_of_their_own_and_embedded_sources_are_read(sample: Command) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    edit_list(count=2)
    Path("edits.csv").write_text("id,before,instruction\ne0,s0.png,make it red\n", encoding="utf-8")
    assert sample("--edits", "edits.csv", "--out", "csv", "--column", "source=before").exit_code == 0
    images = [{"bytes": Path(f"s{number}.png").read_bytes(), "path": None} for number in range(2)]
    table = {"id": ["e0", "e1"], "source": images, "instruction": ["make it red"] * 2}
    parquet.write_table(arrow.table(table), "edits.parquet")
    assert sample("--edits", "edits.parquet", "--out", "parquet").exit_code == 0
    assert lines("parquet/edits.jsonl")[1]["source"] == "sources/e1.png"
    assert pictures("csv")["e0.png"] == pictures("parquet")["e0.png"]
    refused = sample("--edits", "edits.csv", "--out", "csv2")
    assert (refused.exit_code, "no column 'source'" in refused.output) == (2, True)


def test_a_run_is_its_final_editor_at_its_own_steps(tmp_path: Path, loaded: Loaded) -> None:
    settings = small_settings(tmp_path)
    train(settings)
    words = [
        "sample",
        "--checkpoint",
        settings.out,
        "--edits",
        settings.data.edits[0],
        "--out",
        tmp_path / "o",
    ]
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    assert [asked.name for asked in loaded.asked] == [str(settings.out / "final")]
    assert len(loaded.editor.rows) == 4  # sampling.steps of the run, not 28
    assert {line["model"] for line in lines(tmp_path / "o/edits.jsonl")} == {"run"}


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "the same command goes on from here"),
        (
            torch.OutOfMemoryError("of 80 GiB"),
            2,
            "2 pictures of 8×8 at once do not fit into memory: lower --batch",
        ),
    ],
)
def test_what_was_made_before_a_stop_is_kept_and_gone_on_from(
    sample: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, told: str
) -> None:
    words = ("--edits", edit_list(), "--out", "out", "--batch", 2)
    encode, batches = LinearEditor.encode, []

    def encoded(self: LinearEditor, sources: Any, instructions: Any) -> Any:
        batches.append(len(sources))
        if len(batches) == 2:
            raise error
        return encode(self, sources, instructions)

    monkeypatch.setattr(LinearEditor, "encode", encoded)
    stopped = sample(*words)
    assert (stopped.exit_code, told in stopped.output) == (code, True), stopped.output
    assert sorted(pictures("out")) == ["e0.png", "e1.png"]
    assert "2 pictures made, 2 were there, 0 failed" in sample(*words).output
