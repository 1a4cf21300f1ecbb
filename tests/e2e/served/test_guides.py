"""The commands of docs/ as they stand there, with small counts, in order, against the real service."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from service_process import ServiceProcess
from typer.testing import CliRunner

from edit_grpo.cli.app import app as grpo_app
from edit_rrm_client.bulk.rows import read_results
from edit_rrm_client.cli import app as client_app
from edit_rrm_server.engines.vllm import start as vllm_start
from edit_rrm_server.process import serving
from edit_rrm_server.process.cli import app as server_app
from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings
from edit_rrm_shapes.cli.app import app as shapes_app
from edit_rrm_shapes.world.dataset import EditRecord, make_edit
from edit_rrm_training.cli.app import app as training_app
from guide_blocks import shown

PROGRAMS: dict[str, typer.Typer] = {
    "edit-rrm": client_app,
    "edit-rrm-server": server_app,
    "edit-rrm-train": training_app,
    "edit-grpo": grpo_app,
    "edit-rrm-shapes": shapes_app,
}
EXAMPLE = "http://127.0.0.1:8000"

Follow = Callable[..., list[str]]


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Follow:
    """Does what a block of a page says, in an empty folder; gives what each command printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(page: str, number: int, changes: Mapping[str, str]) -> list[str]:
        printed = []
        for program, *words in shown(page, number, changes):
            if words[0].startswith("evaluate"):  # an engine in this process would outlive the test
                command = [str(Path(sys.executable).with_name(program)), *words]
                done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
                code, output = done.returncode, done.stdout + done.stderr
            else:
                ended = CliRunner().invoke(PROGRAMS[program], words)
                code, output = ended.exit_code, f"{ended.output}\n{ended.exception!r}"
            assert code == 0, (program, words, output[-3000:])
            printed.append(output)
        return printed

    return run


def pictures(edit: EditRecord, folder: Path) -> list[Path]:
    """The source and the candidates of an edit as files."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number, picture in enumerate([edit.picture(), *(c.picture() for c in edit.candidates)]):
        paths.append(folder / f"{edit.id.replace('/', '-')}-{number}.png")
        picture.save(paths[-1])
    return paths


def lines(path: str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_stream_by_curl(trained: ServiceProcess, edit: EditRecord, tmp_path: Path) -> None:
    source, candidate = (
        {"b64": base64.b64encode(path.read_bytes()).decode()}
        for path in pictures(edit, tmp_path / "images")[:2]
    )
    call = {"instruction": edit.request.instruction, "source": source, "candidates": [candidate]}
    (tmp_path / "edits.ndjson").write_text("".join(json.dumps({**call, "key": key}) + "\n" for key in "ab"))
    for words in shown("api.md", 0, {EXAMPLE: trained.url}):
        ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
        answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert sorted(answer["key"] for answer in answers) == ["a", "b"]
    assert all(answer["results"][0]["reward"] is not None for answer in answers)


def test_bulk_scoring_comparison_best_of_and_report(
    trained: ServiceProcess, follow: Follow, tmp_path: Path
) -> None:
    rows = []
    for index in range(2):
        edit = make_edit(seed=2031, index=index, candidate_count=4)
        source, *candidates = (str(path) for path in pictures(edit, tmp_path / "images"))
        rows += [
            {"id": edit.id, "instruction": edit.request.instruction, "source": source, "edited": candidate,
             "model": ("flux", "kontext")[number % 2]}
            for number, candidate in enumerate(candidates)
        ]  # fmt: skip
    Path("edits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    other_name = trained.url.replace("127.0.0.1", "localhost")
    here = {"http://a:8000": trained.url, "http://b:8000": other_name, "-n 8": "-n 2"}
    scored, compared, best = follow("bulk.md", 0, here)
    assert "8" in scored
    assert "flux" in compared
    assert "kontext" in compared
    assert best
    assert len(list(read_results(Path("results.parquet")))) == 8
    follow("report.md", 0, {})
    page = Path("report.html").read_text()
    assert all(row["instruction"] in page for row in rows)


def test_evaluations(trained: ServiceProcess, follow: Follow) -> None:
    follow("rrm-data.md", 3, {
        "--count 2000": "--count 1",
        "edit-rrm-train pairs import": "#",  # tests/rrm_training/test_layouts.py
    })  # fmt: skip
    few = " --count 2 --candidates 2"
    # An engine of its own takes a quarter of a minute: one is enough, and the service does for the other two.
    printed = follow("rrm-data.md", 4, {
        "--samples 8": "--samples 2" + few,
        EXAMPLE: trained.url + few,
        "SCORER --score-only": f"{BUNDLED_MODEL} --score-only" + few,
        "pairs.jsonl --checkpoint CKPT": f"pairs.jsonl --server {trained.url}",
        "--checkpoint CKPT": f"--server {trained.url}",
    })  # fmt: skip
    assert len(printed) == 4
    assert json.loads(Path("report/evaluation.json").read_text())["measures"]


def test_the_shapes_world(follow: Follow) -> None:
    follow("shapes.md", 0, {"--count 200": "--count 3"})
    with Image.open("shapes.png") as sheet:
        assert sheet.width > 500
    assert len(lines("runs/shapes/edits.jsonl")) == 3
    Path("edited").mkdir()
    for edit in lines("runs/shapes/edits.jsonl"):
        Path(f"edited/{edit['id']}.png").symlink_to(
            Path("runs/shapes", edit["candidates"][0]["image"]).resolve()
        )
    follow("shapes.md", 1, {"--count 500": "--count 4"})
    assert json.loads(Path("runs/oracle.json").read_text())
    assert len(lines("judged.jsonl")) == 3


def test_the_tiny_model_s_recipe(follow: Follow) -> None:
    """A step of each stage, and the evaluation; the vocabulary, a minute's work, is the bundled one."""
    Path("runs/tiny/processor").mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja"):
        shutil.copy(BUNDLED_MODEL / name, "runs/tiny/processor")
    stages = ("look", "read", "see", "base", "sft", "polish")
    few = "".join(f" --{stage}-steps 1" for stage in stages) + " --find-steps 0"  # its steps are long
    changes = {"runs/tiny ": f"runs/tiny{few} --workers 0 ", "--count 1000": "--count 1 --candidates 2"}
    follow("shapes.md", 2, changes)
    assert Path("runs/edit-rrm-tiny/rrm.json").exists()


def test_an_editor_on_a_laptop(
    trained: ServiceProcess, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDIT_RRM_URL", trained.url)
    config = Path(__file__).parents[3] / "shapes/configs/tiny_editor.yaml"
    small = {"groups": 2, "group_size": 2, "micro_batch": 2, "steps": 4}
    few = "".join(f" --set sampling.{name}={value}" for name, value in small.items())
    few += " --set updates=1 --set grid_every=1"
    follow("train-an-editor.md", 1, {
        "--count 400": "--count 12",
        "shapes/configs/tiny_editor.yaml": f"{config}{few}",
    })  # fmt: skip
    assert Path("runs/shapes-editor/grids/index.html").exists()
    follow("train-an-editor.md", 3, {
        "--count 2600": "--count 3",
        "--out runs/shapes-pretrained ": "--out runs/shapes-pretrained --vae-steps 1 --steps 2 ",
        "shapes/configs/tiny_editor.yaml": f"{config}{few}",
    })  # fmt: skip
    assert Path("runs/own-editor/final/model_index.json").exists()


def test_the_reproduction_lists_its_stages(follow: Follow) -> None:
    """The whole of it, in a few steps, is run by tests/shapes/test_reproduce.py."""
    listed, _ = follow(
        "train-the-rrm.md", 3, {"reproduce-rrm             #": "reproduce-rrm --list --quick #"}
    )
    assert "gcpo-m-seed0" in listed


def test_the_tv_checkpoint_that_ships_is_a_stage_already_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    root = Path(__file__).parents[3]
    places = {" shapes/": f" {root}/shapes/", " docs/": f" {root}/docs/"}
    for words in shown("train-the-rrm.md", 4, places):
        subprocess.run(words, check=True)
    listed = CliRunner().invoke(shapes_app, ["reproduce-rrm", "--list"]).output
    rows = [[cell.strip() for cell in line.split("│")] for line in listed.splitlines()]
    assert [row[1] for row in rows if row[5:6] == ["sft-m-tv"]] == ["done"]
    assert Path("runs/reproduce/sft-m-tv/final/model.safetensors").exists()


def test_the_editors_reproduction_lists_its_stages(follow: Follow) -> None:
    """The whole of it, in a few steps, is run by tests/e2e/served/test_reproduces_an_editor.py."""
    changes = {"reproduce-editor            #": "reproduce-editor --list --quick #"}
    listed, _ = follow("train-an-editor.md", 2, changes)
    assert "train-sft-seed1" in listed


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServerSettings]:
    """What `edit-rrm-server serve` would serve, as far as its process's start."""
    found: list[ServerSettings] = []

    def serve(settings: ServerSettings, started_at: float) -> int:
        found.append(settings)
        return 0

    monkeypatch.setattr(serving, "serve", serve)
    monkeypatch.setattr(vllm_start, "prepare_environment", lambda settings: None)
    return found


def test_vllm_takes_the_line_of_its_own_that_the_guide_shows() -> None:
    """tests/e2e/served/test_fleet.py starts such servers; here vLLM's own parser reads the line."""
    vllm, serve, model, *words = shown("fleet.md", 1, {})[0]
    assert (vllm, serve) == ("vllm", "serve")
    program = (
        "import sys\n"
        "from vllm.entrypoints.launchers import cli_args\n"
        "parser = cli_args.make_arg_parser(cli_args.FlexibleArgumentParser())\n"
        "read = parser.parse_args(sys.argv[1:])\n"
        "cli_args.validate_parsed_serve_args(read)\n"
        "print(read.model_tag, read.served_model_name, read.limit_mm_per_prompt, read.port)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, model, *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.splitlines()[-1] == "runs/gcpo/final ['judge'] {'image': 2} 8001"


def test_services_are_given_the_settings_that_the_guides_show(
    follow: Follow, served: list[ServerSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such processes are started, by other tests: test_fleet.py, test_reload_under_load.py and more."""
    (tmp_path / "runs").mkdir()
    for name in ("gcpo", "sft"):
        (tmp_path / "runs" / name).symlink_to(BUNDLED_MODEL)
    follow("train-an-editor.md", 0, {})
    follow("fleet.md", 0, {})
    follow("fleet.md", 1, {"vllm serve": "#"})
    monkeypatch.setenv("EDIT_RRM_ADMIN_API_KEYS", "secret")
    follow("fleet.md", 2, {"EDIT_RRM_ADMIN_API_KEYS=… ": "", "$PWD": str(tmp_path), "curl": "#"})
    monkeypatch.delenv("EDIT_RRM_ADMIN_API_KEYS")
    monkeypatch.setenv("EDIT_RRM_OTLP_ENDPOINT", "http://collector:4317")
    follow("fleet.md", 3, {"EDIT_RRM_OTLP_ENDPOINT=http://collector:4317 ": ""})
    plain, several, fleet, live, traced = served
    assert plain.model == BUNDLED_MODEL
    assert several.tensor_parallel_size == 2
    assert fleet.engine == "openai"
    assert len(fleet.upstreams) == 2
    assert live.reload_root == tmp_path / "runs"
    assert traced.otlp_endpoint == "http://collector:4317"
