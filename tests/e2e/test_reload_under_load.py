"""From an SFT to a GCPO checkpoint under load, on the real engine: each answer is of the weights it names."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_process import ServiceProcess, served
from shape_calls import group_call

from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_shapes.world.dataset import EditRecord
from guide_blocks import blocks_of, shown

ADMIN = {"Authorization": "Bearer admin-key"}
CANDIDATES = 4
PROBABILITY_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`sft` is the bundled checkpoint, `gcpo` what two steps of GCPO make of it, `broken` one cut short."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name in ("sft", "broken"):
        shutil.copytree(BUNDLED_MODEL, root / name)
    run, pairs = root / "gcpo-run", root / "pairs.jsonl"
    run_program("edit-rrm-shapes", "pairs", "--seed", "12", "--count", "2", "--out", str(pairs))
    settings = {
        "base": BUNDLED_MODEL, "pairs": pairs, "out": run, "name": "gcpo", "steps": 2, "lr": 1e-3,
        "pairs_per_step": 2, "traces": 4, "max_trace_tokens": 160, "batch_per_device": 8,
        "dtype": "float32", "gradient_checkpointing": "false", "equal_images": "true", "workers": 0,
    }  # fmt: skip
    run_program(
        "edit-rrm-train",
        "gcpo",
        *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")),
    )
    (run / "final").rename(root / "gcpo")
    whole = (root / "broken" / "model.safetensors").read_bytes()
    (root / "broken" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    return root


def run_program(name: str, *arguments: str) -> None:
    """Runs a console script."""
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@pytest.fixture(scope="module")
def reloadable(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[ServiceProcess]:
    """A ready service of the SFT checkpoint that keeps no score."""
    with served(
        tmp_path_factory.mktemp("reloadable"),
        *("--model", str(root / "sft"), "--set", f"reload_root={root}"),
        *("--set", "admin_api_keys=admin-key", "--set", "score_cache_mib=0"),
    ) as process:
        yield process


def test_under_load_each_answer_is_that_of_the_weights_it_names(
    reloadable: ServiceProcess, edit: EditRecord
) -> None:
    first = scored(reloadable, edit)
    answers, refusals, stop, under_load = [], [], threading.Event(), threading.Event()

    def trainer() -> None:
        with httpx.Client(base_url=reloadable.url, timeout=120.0) as http:
            while not stop.is_set():
                response = http.post("/v1/score", **call(edit))
                if response.status_code == 200:
                    answers.append(response.json())
                    under_load.set()
                else:
                    refusals.append((response.status_code, response.json()["code"]))
                    assert int(response.headers["Retry-After"]) >= 1
                    stop.wait(0.5)

    with ThreadPoolExecutor(3) as pool:
        trainers = [pool.submit(trainer) for _ in range(3)]
        assert under_load.wait(60.0)
        reloaded = reload_as_the_guide_says(reloadable)
        second = scored(reloadable, edit)
        stop.set()
        for running in trainers:
            running.result()
    assert reloaded["previous"] == first["model"]
    assert reloaded["model"] == second["model"]
    assert second["model"].startswith("gcpo@")
    assert not same(first, second)
    assert {answer["model"] for answer in answers} == {first["model"], second["model"]}
    for answer in answers:
        assert same(answer, first if answer["model"] == first["model"] else second)
    assert set(refusals) == {(503, "loading")}
    assert second["usage"]["cached_prompt_tokens"] < second["usage"]["prompt_tokens"]


def test_a_checkpoint_that_does_not_load_leaves_the_old_weights_serving(
    reloadable: ServiceProcess, edit: EditRecord
) -> None:
    before = scored(reloadable, edit)
    response = reload(reloadable, "broken")
    assert (response.status_code, response.json()["code"]) == (502, "reload_failed")
    after = scored(reloadable, edit)
    assert after["model"] == before["model"]
    assert same(after, before)


def call(edit: EditRecord) -> dict[str, Any]:
    """A greedy call whose principles and traces are both the model's."""
    return group_call(edit, CANDIDATES, guards="off", include=["reasoning"], principles=None)


def scored(process: ServiceProcess, edit: EditRecord) -> dict[str, Any]:
    """Its answer."""
    response = process.http.post("/v1/score", **call(edit))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def reload_as_the_guide_says(process: ServiceProcess) -> dict[str, Any]:
    """Runs docs/fleet.md's curl, from `sft` to `gcpo`; its answer has what the guide shows."""
    here = {"http://127.0.0.1:8000": process.url, "Bearer …": "Bearer admin-key"}
    (_, curl), (answer,) = (
        shown("fleet.md", 2, here),
        [block.code for block in blocks_of("fleet.md") if block.language == "json"],
    )
    done = subprocess.run([*curl, "-sS"], capture_output=True, text=True, timeout=400, check=True)
    reloaded: dict[str, Any] = json.loads(done.stdout)
    assert set(reloaded) == set(json.loads(answer)), done.stdout
    return reloaded


def reload(process: ServiceProcess, path: str) -> httpx.Response:
    """Asks for a reload and waits for its answer."""
    with httpx.Client(base_url=process.url, timeout=400.0) as http:
        return http.post("/v1/admin/reload", json={"path": path}, headers=ADMIN)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both have the same principles, traces and, to what a sum's order can change, probabilities."""

    def text(answer: dict[str, Any]) -> str:
        return json.dumps([answer["principles"], [r.get("samples") for r in answer["results"]]])

    def probabilities(answer: dict[str, Any]) -> list[float]:
        return [v["probability"] for r in answer["results"] for v in r.get("verdicts", ())]

    return text(one) == text(other) and probabilities(one) == pytest.approx(
        probabilities(other), abs=PROBABILITY_TOLERANCE
    )
