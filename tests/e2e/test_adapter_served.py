"""A LoRA folder as `--model`: merged and as vLLM's LoRA it writes the same; and starts that fail say why."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import service_process
from service_process import ServiceProcess
from shape_calls import group_call

from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_shapes.world.dataset import EditRecord
from tiny_adapter import write_adapter

Answer = dict[str, Any]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ServiceProcess]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(service_process, "START_LIMIT_S", 600.0)  # merging comes on top of loading

    def start_one(name: str, *arguments: str) -> ServiceProcess:
        directory = tmp_path / name
        directory.mkdir()
        return ServiceProcess(directory, *arguments)

    return start_one


def answer(service: ServiceProcess, edit: EditRecord) -> Answer:
    """Of a service that then ends."""
    try:
        service.wait_until_ready()
        response = service.http.post("/v1/score", **group_call(edit, 4, guards="off", include=["reasoning"]))
        assert response.status_code == 200, response.text
        found: Answer = response.json()
    finally:
        status, left = service.end(), service.left_behind()
    assert (status, left) == (0, [])
    return found


@pytest.mark.timeout(1800)  # three starts
def test_merged_and_as_vllms_lora_it_writes_the_same(
    start: Callable[..., ServiceProcess], edit: EditRecord, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path / "judge-lora", scale=0.02)
    answers = [
        answer(start(mode, "--model", str(adapter), "--set", f"adapter_mode={mode}"), edit)
        for mode in ("merge", "lora")
    ]
    base = answer(start("base"), edit)
    merged, lora = ([_written(result) for result in found["results"]] for found in answers)
    assert merged == lora
    by_merge, by_lora, by_base = (_log_odds(found) for found in (*answers, base))
    changed = max(abs(ours - plain) for ours, plain in zip(by_merge, by_base, strict=True))
    assert changed > 1e-3, "an adapter that says nothing proves nothing"
    assert by_merge == pytest.approx(by_lora, abs=changed / 10)
    assert answers[0]["model"] == answers[1]["model"]
    assert answers[0]["model"].startswith("judge-lora@")


def _written(result: Answer) -> list[tuple[str, float]]:
    return [(sample["reasoning"], sample["score"]) for sample in result["samples"]]


def _log_odds(found: Answer) -> list[float]:
    shown = [verdict["probability"] for result in found["results"] for verdict in result["verdicts"]]
    return [math.log(probability / (1.0 - probability)) for probability in shown]


def test_an_argument_that_vllm_does_not_know_ends_the_start(start: Callable[..., ServiceProcess]) -> None:
    service = start("unknown", "--set", "engine_args.quantisation=fp8")
    assert service.process.wait(240) == 1
    assert "this vLLM has no argument 'quantisation'; did you mean quantization" in service.log.read_text()


def test_what_ended_the_engines_process_stands_in_the_message(
    start: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(BUNDLED_MODEL, tmp_path / "cut-off"))
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    service = start("broken", "--model", str(broken))
    assert service.process.wait(400) == 1
    (line,) = [
        line for line in service.log.read_text().splitlines() if "the model could not be loaded" in line
    ]
    assert "vLLM did not start: " in line
    assert "safetensor" in line.lower()
