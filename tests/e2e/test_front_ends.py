"""Two copies of the model behind two front ends: the same rewards, a group on one copy, and one that dies."""

import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from service_process import ServiceProcess, served
from shape_calls import group_call

from edit_rrm_server.engines.vllm.front_end_process import TITLE
from edit_rrm_shapes.world.dataset import EditRecord, make_edit

RESTART_LIMIT_S = 240.0
HANG_S = 15
EDITS = [make_edit(seed=2026, index=index, candidate_count=6) for index in (3, 4, 5)]


@pytest.fixture(scope="module")
def parallel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """Ready, restarting its engine at once."""
    settings = [
        "data_parallel_size=2",
        "front_end_workers=2",
        "engine_restart_backoff_s=0.1",
        "kv_cache_gib=0.3",
        f"engine_hang_s={HANG_S}",
    ]
    options = [part for setting in settings for part in ("--set", setting)]
    with served(tmp_path_factory.mktemp("parallel"), *options) as process:
        yield process


def scored(service: ServiceProcess, edit: EditRecord) -> dict[str, Any]:
    answer = service.http.post("/v1/score", **group_call(edit, 6, guards="off"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def front_ends(service: ServiceProcess) -> list[psutil.Process]:
    return [p for p in service.processes() if TITLE in " ".join(p.cmdline())]


def engine_cores(service: ServiceProcess) -> list[psutil.Process]:
    return [p for p in service.processes() if "VLLM::EngineCore" in " ".join(p.cmdline())]


def metric(service: ServiceProcess, name: str) -> float:
    lines = service.http.get("/metrics").text.splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " "))


def test_rewards_and_shared_prefixes_are_those_of_one_engine_in_one_process(
    trained: ServiceProcess, parallel: ServiceProcess
) -> None:
    assert len(front_ends(parallel)) == 2
    for edit in EDITS:
        alone, together = scored(trained, edit), scored(parallel, edit)
        for one, other in zip(alone["results"], together["results"], strict=True):
            assert other["reward"] == pytest.approx(one["reward"], abs=1e-9)
            assert [v["met"] for v in other["verdicts"]] == [v["met"] for v in one["verdicts"]]
            for mine, theirs in zip(one["verdicts"], other["verdicts"], strict=True):
                assert theirs["probability"] == pytest.approx(mine["probability"], abs=1e-3)
        assert together["usage"]["prompt_tokens"] == alone["usage"]["prompt_tokens"]
        assert together["usage"]["cached_prompt_tokens"] >= alone["usage"]["cached_prompt_tokens"] > 0


def test_a_prompt_that_does_not_fit_is_refused_by_name(parallel: ServiceProcess) -> None:
    call = group_call(EDITS[0], 1, sampling={"max_tokens": 16384})
    answer = parallel.http.post("/v1/score", **call)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "do not fit into the model's" in answer.json()["detail"]


def test_the_death_of_a_front_end_is_the_engine_s_and_mended(parallel: ServiceProcess) -> None:
    before = scored(parallel, EDITS[0])
    victim = front_ends(parallel)[0]
    victim.kill()
    give_up_at = time.monotonic() + 20
    while parallel.http.get("/ready").status_code == 200:
        assert time.monotonic() < give_up_at, "nobody noticed"
        time.sleep(0.05)
    parallel.wait_until_ready()
    assert victim.pid not in [process.pid for process in front_ends(parallel)]
    assert len(front_ends(parallel)) == 2
    assert [r["reward"] for r in scored(parallel, EDITS[0])["results"]] == [
        r["reward"] for r in before["results"]
    ]


def test_an_engine_behind_front_ends_that_hangs_is_noticed(parallel: ServiceProcess) -> None:
    """The front ends go on saying something, but nothing of its steps."""
    hangs = metric(parallel, "edit_rrm_engine_hangs_total")
    for stopped in engine_cores(parallel):
        stopped.suspend()
    call = group_call(EDITS[2], 6, guards="off", sampling={"temperature": 0.7})
    answer = parallel.http.post("/v1/score", **call)
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_dead")
    parallel.wait_until_ready()
    assert metric(parallel, "edit_rrm_engine_hangs_total") == hangs + 1
