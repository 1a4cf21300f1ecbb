"""LoRA folders: merged, and by name beside their base, one writes the same; and starts that fail say why."""

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


def answers(service: ServiceProcess, edit: EditRecord, *models: str | None) -> list[Answer]:
    """One of each model, of a service that then ends."""
    found: list[Answer] = []
    try:
        service.wait_until_ready()
        for model in models:
            call = group_call(edit, 4, guards="off", include=["reasoning"], model=model)
            response = service.http.post("/v1/score", **call)
            assert response.status_code == 200, response.text
            found.append(response.json())
    finally:
        status, left = service.end(), service.left_behind()
    assert (status, left) == (0, [])
    return found


@pytest.mark.timeout(1800)  # two starts
def test_merged_and_as_one_of_two_adapters_at_a_base_it_writes_the_same(
    start: Callable[..., ServiceProcess], edit: EditRecord, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path / "judge-lora", scale=0.02)
    another = write_adapter(tmp_path / "another", scale=0.02, seed=1)
    (merged,) = answers(start("merge", "--model", str(adapter)), edit, None)
    beside = ["--set", f"adapters.judge-lora={adapter}", "--set", f"adapters.another={another}"]
    lora, base, other = answers(start("lora", *beside), edit, "judge-lora", None, "another")
    by_merge, by_lora, by_base, by_other = (_log_odds(found) for found in (merged, lora, base, other))
    assert [_written(result) for result in merged["results"]] == [_written(r) for r in lora["results"]]
    changed = _furthest(by_merge, by_base)
    assert changed > 1e-3, "an adapter that says nothing proves nothing"
    assert by_merge == pytest.approx(by_lora, abs=changed / 10)
    assert _furthest(by_lora, by_other) > 1e-3
    assert _furthest(by_base, by_other) > 1e-3
    assert merged["model"] == lora["model"]
    assert [found["model"].split("@")[0] for found in (lora, base, other)] == [
        "judge-lora",
        "edit-rrm-tiny",
        "another",
    ]


def _furthest(ours: list[float], others: list[float]) -> float:
    return max(abs(one - other) for one, other in zip(ours, others, strict=True))


def _written(result: Answer) -> list[tuple[str, float]]:
    return [(sample["reasoning"], sample["score"]) for sample in result["samples"]]


def _log_odds(found: Answer) -> list[float]:
    shown = [verdict["probability"] for result in found["results"] for verdict in result["verdicts"]]
    return [math.log(probability / (1.0 - probability)) for probability in shown]


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
