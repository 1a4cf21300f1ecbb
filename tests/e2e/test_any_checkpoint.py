"""`--model PATH`: a Qwen2.5-VL without rrm.json gets the zero_shot profile; and the death of an engine."""

import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from service_process import ServiceProcess, served
from shape_calls import group_call
from untrained_checkpoint import save_untrained

from edit_rrm_shapes.world.dataset import EditRecord


@pytest.fixture(scope="module")
def zero_shot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A random checkpoint, ready. No trace of it ever parses."""
    directory = tmp_path_factory.mktemp("zero_shot")
    checkpoint = save_untrained(directory / "random-vlm")
    with served(directory, "--model", str(checkpoint), "--set", "retries=0", "--dtype", "float32") as process:
        yield process


def test_it_is_served_with_the_zero_shot_profile(zero_shot: ServiceProcess) -> None:
    (model,) = zero_shot.http.get("/v1/models").json()["models"]
    assert (model["name"], model["profile"], model["trace_format"]) == ("random-vlm", "zero_shot", "json")
    assert model["limits"]["max_model_len"] == 8192


NO_TRACE = {"trace_unparseable", "trace_truncated"}


def failures(response: httpx.Response) -> set[str]:
    """The codes of a call none of whose candidates has a reward."""
    answer = response.json()
    if response.status_code == 200:
        assert [result["reward"] for result in answer["results"]] == [None] * len(answer["results"])
        return {result["error"]["code"] for result in answer["results"]}
    assert response.status_code == 502
    return {answer["code"]}


def test_its_prompts_run_and_its_noise_is_no_score(zero_shot: ServiceProcess, edit: EditRecord) -> None:
    call = group_call(edit, 3, sampling={"max_tokens": 24}, guards="off")
    assert failures(zero_shot.http.post("/v1/score", **call)) <= NO_TRACE
    call = group_call(edit, 1, sampling={"max_tokens": 24}, guards="off", principles=None)
    found = failures(zero_shot.http.post("/v1/score", **call))
    assert found <= {"decomposition_failed", "decomposition_truncated"}


def test_a_sampled_prompt_that_is_read_in_several_steps_kills_nobody(
    zero_shot: ServiceProcess, edit: EditRecord
) -> None:
    """vLLM would set a CPU's generator back after the first step, which cannot be done (cpu_worker.py)."""
    sampling = {"temperature": 0.8, "max_tokens": 8}
    for instruction in ("make it blue", "make it blue " * 60):
        call = group_call(edit, 2, sampling=sampling, guards="off", instruction=instruction)
        assert failures(zero_shot.http.post("/v1/score", **call)) <= NO_TRACE


def test_the_death_of_the_engine_is_told_and_the_service_still_ends_well(
    zero_shot: ServiceProcess, edit: EditRecord
) -> None:
    engine_core(zero_shot).kill()
    give_up_at = time.monotonic() + 20
    while zero_shot.http.get("/ready").status_code == 200:
        assert time.monotonic() < give_up_at, "nobody noticed"
        time.sleep(0.1)
    for response in (zero_shot.http.get("/ready"), zero_shot.http.post("/v1/score", **group_call(edit, 1))):
        assert (response.status_code, response.json()["code"]) == (503, "engine_dead")
        assert "Retry-After" in response.headers
    assert zero_shot.http.get("/health").status_code == 200


def engine_core(service: ServiceProcess) -> psutil.Process:
    """The process that holds the model: the largest that is neither the service nor a mere helper of it."""
    others = [p for p in service.processes() if p.pid != service.process.pid]
    forked = [p for p in others if p.ppid() != service.process.pid]
    return max(forked or others, key=lambda process: process.memory_info().rss)
