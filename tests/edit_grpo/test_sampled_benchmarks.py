"""GEdit-Bench and ImgEdit-Bench as edits to carry out: small hand-made copies in their published layouts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from linear_editor import LinearEditor
from PIL import Image
from typer.testing import CliRunner, Result

from edit_grpo.cli.app import app
from edit_grpo.policies import loading
from edit_rrm.images import encode_png
from edit_rrm_client import MockRewardServer
from edit_rrm_client.bulk.inputs import open_input
from edit_rrm_client.cli import app as client_app
from guide_blocks import shown

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
Command = Callable[..., Result]


def image(shade: int, size: tuple[int, int] = (8, 8)) -> dict[str, Any]:
    return {"bytes": encode_png(Image.new("RGB", size, (shade,) * 3)), "path": None}


def gedit_row(key: str, task: str = "color_alter", language: str = "en", **changes: Any) -> dict[str, Any]:
    return {
        "key": key, "task_type": task, "instruction_language": language, "instruction": "make it red",
        "input_image": image(10), "input_image_raw": image(20, (16, 8)), "Intersection_exist": True,
        **changes,
    }  # fmt: skip


def write_gedit(folder: Path, *rows: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    types = {"input_image": IMAGE, "input_image_raw": IMAGE, "Intersection_exist": pa.bool_()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in gedit_row("k")])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), folder / "train-0.parquet")
    return folder


def write_imgedit(folder: Path) -> Path:
    edits = {
        "1082": {"id": "animal/1.jpg", "prompt": "smooth the shell", "edit_type": "adjust"},
        "7": {"id": "style/2.jpg", "prompt": "as a woodcut", "edit_type": "style"},
    }
    for edit in edits.values():
        (folder / edit["id"]).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 16), "grey").save(folder / edit["id"])
    (folder / "singleturn.json").write_text(json.dumps(edits))
    return folder


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr(loading, "load_policy", lambda *_, **__: LinearEditor())
    monkeypatch.setattr(LinearEditor, "prepare", lambda self, source: source.resize((8, 8)))
    monkeypatch.chdir(tmp_path)
    Path("editor").mkdir()
    return lambda *words: CliRunner().invoke(
        app, ["sample", "--checkpoint", "editor", "--steps", "2", *map(str, words)]
    )


def lines(path: str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_gedit_s_pictures_lie_where_its_own_script_looks(
    sample: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def prepare(self: LinearEditor, source: Image.Image) -> Image.Image:
        seen.append(source.size)
        return source.resize((8, 8))

    monkeypatch.setattr(LinearEditor, "prepare", prepare)
    data = write_gedit(
        Path("data"), gedit_row("k1"), gedit_row("k1", language="cn"),
        gedit_row("k2", "style_change", Intersection_exist=False, input_image_raw=None),
    )  # fmt: skip
    done = sample("--benchmark", "gedit", "--edits", data, "--out", "out")
    assert done.exit_code == 0, done.output
    assert seen == [(16, 8), (16, 8), (8, 8)]  # the raw image, where there is one
    places = [str(path.relative_to("out")) for path in sorted(Path("out/fullset").rglob("*.png"))]
    assert places == [
        f"fullset/{place}{end}.png"
        for place in ("color_alter/cn/k1", "color_alter/en/k1", "style_change/en/k2")
        for end in ("", "_SRCIMG")
    ]
    assert Image.open("out/fullset/color_alter/en/k1_SRCIMG.png").getpixel((0, 0)) == (10, 10, 10)
    own = open_input(Path("out"), Path(), layout="gedit", edits=data)
    assert [(row.id, row.problem) for row in own.rows()] == [("k1", None), ("k1/cn", None), ("k2", None)]


def test_gedit_s_list_is_scored_as_it_is_and_says_language_and_split(sample: Command) -> None:
    data = write_gedit(
        Path("data"), gedit_row("k1"), gedit_row("k2", language="cn", Intersection_exist=False)
    )
    done = sample("--benchmark", "gedit", "--edits", data, "--out", "out")
    assert "edit-rrm score out/edits.jsonl -o out.scores.parquet --guards report" in done.output
    assert "edit-rrm bench gedit out.scores.parquet --edits data" in done.output
    assert [row.problem for row in open_input(Path("out/edits.jsonl"), Path()).rows()] == [None, None]
    assert [
        (
            line["id"],
            line["category"],
            line["instruction_language"],
            line["Intersection_exist"],
            line["source"],
        )
        for line in lines("out/edits.jsonl")
    ] == [
        ("k1", "color_alter", "en", True, "fullset/color_alter/en/k1_SRCIMG.png"),
        ("k2", "color_alter", "cn", False, "fullset/color_alter/cn/k2_SRCIMG.png"),
    ]


def test_a_bad_row_of_gedit_is_named(sample: Command) -> None:
    data = write_gedit(
        Path("data"), gedit_row("../k1"), gedit_row("k2", instruction=""), gedit_row("k3"),
        gedit_row("k4", input_image=None, input_image_raw=None),
    )  # fmt: skip
    assert sample("--benchmark", "gedit", "--edits", data, "--out", "out").exit_code == 1
    assert [(line["row"], line["detail"].partition(": ")[2]) for line in lines("out/failures.jsonl")] == [
        (1, "key: expected a name, got '../k1'"),
        (2, "instruction: it is empty"),
        (4, "input_image_raw: there is no picture"),
    ]
    assert [line["id"] for line in lines("out/edits.jsonl")] == ["k3"]


@pytest.mark.parametrize("moved", [False, True])
def test_imgedit_s_pictures_are_named_by_key_and_show_their_originals(sample: Command, moved: bool) -> None:
    folder = write_imgedit(Path("singleturn"))
    words = ["--edits", folder]
    if moved:
        (folder / "singleturn.json").rename("mine.json")
        words = ["--edits", Path("mine.json"), "--originals", folder]
    done = sample("--benchmark", "imgedit", *words, "--out", "out")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in Path("out").glob("*.png")) == [
        "1082.png",
        "7.png",
        "contact-sheet.png",
    ]
    assert lines("out/edits.jsonl")[0] == {
        "id": "1082", "candidate": 0, "model": "editor", "category": "adjust", "edit_type": "adjust",
        "instruction": "smooth the shell", "source": "../singleturn/animal/1.jpg", "edited": "1082.png",
    }  # fmt: skip
    assert [row.problem for row in open_input(Path("out/edits.jsonl"), Path()).rows()] == [None, None]
    assert not Path("out/sources").exists()
    assert [line["id"] for line in lines("out/edits.style.jsonl")] == ["7"]  # a judge for each kind
    assert lines("out/edits.adjust.jsonl") + lines("out/edits.style.jsonl") == lines("out/edits.jsonl")


def test_an_original_elsewhere_or_missing_is_named(sample: Command) -> None:
    folder = write_imgedit(Path("singleturn"))
    edits = {"1": {"id": "../secret.png", "prompt": "x"}, "2": {"id": "animal/9.jpg", "prompt": "x"}}
    (folder / "singleturn.json").write_text(json.dumps(edits))
    assert sample("--benchmark", "imgedit", "--edits", folder, "--out", "out").exit_code == 1
    first, second = (line["detail"] for line in lines("out/failures.jsonl"))
    assert "expected a path below singleturn, got '../secret.png'" in first
    assert "there is no file" in second


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--benchmark", "gedit", "--edits", "empty"), "there is no .parquet file"),
        (("--benchmark", "imgedit", "--edits", "empty"), "singleturn.json or basic_edit.json"),
        (("--benchmark", "gedit", "--edits", "empty", "--originals", "empty"), "--originals has no use"),
        (("--benchmark", "gedit", "--edits", "empty", "--column", "source=x"), "has its own columns"),
        (("--edits", "empty"), "a folder of edits holds edits.jsonl"),
        (("--edits", "empty", "--originals", "empty"), "of --benchmark imgedit"),
        (("--edits", "empty", "--shard", "3/2"), "a part like 2/8"),
    ],
)
def test_what_is_missing_or_has_no_use_is_said(sample: Command, words: tuple[str, ...], told: str) -> None:
    Path("empty").mkdir()
    done = sample(*words, "--out", "out")
    assert (done.exit_code, told in " ".join(done.output.replace("│", " ").split())) == (2, True), done.output


SUBSCORES = {
    "viescore": {"prompt_following": 0.9, "consistency": 0.4, "naturalness": 0.9, "artifacts": 1.0},
    "imgedit-add": {"compliance": 1.0, "seamlessness": 0.75, "fidelity": 0.5},
}


@pytest.fixture
def follow(sample: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[list[str]]], str]:
    """Runs a guide's commands; services judge as their address says. Gives what the last one printed."""
    monkeypatch.setenv("COLUMNS", "200")
    Path("runs/kontext").mkdir(parents=True)
    server, plain = MockRewardServer(0.8), httpx.AsyncClient

    def answer(request: httpx.Request) -> httpx.Response:
        answered = server.handle_request(request)
        body = json.loads(answered.content)
        for candidate in body.get("results", ()) if request.url.host in SUBSCORES else ():
            candidate |= {"subscores": SUBSCORES[request.url.host], "verdicts": []}
        return httpx.Response(answered.status_code, json=body)

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(httpx, "AsyncClient", lambda **options: plain(transport=transport, **options))

    def run(commands: list[list[str]]) -> str:
        output = ""
        for program, *words in commands:
            done = CliRunner().invoke({"edit-grpo": app, "edit-rrm": client_app}[program], words)
            assert done.exit_code == 0, (words, done.output)
            output = done.stdout
        return output

    return run


def cells(output: str, row: str) -> list[str]:
    """The first row of a table that begins so."""
    line = next(line for line in output.splitlines() if line.strip("│ ").startswith(row))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_the_guide_s_commands_make_gedit_s_table(follow: Callable[[list[list[str]]], str]) -> None:
    write_gedit(Path("GEdit-Bench/data"), gedit_row("k1"), gedit_row("k2", "style_change"))
    output = follow(shown("benchmarks-public.md", 2, {}))
    # min(9, 4) = 4, min(9, 10) = 9, √(4 · 9) = 6, and the reward of the other service
    expected = ["mean over 2 kinds", "4.000", "9.000", "6.000", "0.800", "2", "0", "0"]
    assert cells(output, "mean over") == expected


def test_the_guide_s_commands_make_imgedit_s_table(follow: Callable[[list[list[str]]], str]) -> None:
    folder = write_imgedit(Path("Benchmark/singleturn"))
    edits = json.loads((folder / "singleturn.json").read_text())
    for edit in edits.values():
        edit["edit_type"] = "add"
    (folder / "singleturn.json").write_text(json.dumps(edits))
    output = follow(shown("benchmarks-public.md", 3, {}))
    assert cells(output, "add") == ["add", "4.00", "2", "0", "0"]  # (5 + 4 + 3) / 3
