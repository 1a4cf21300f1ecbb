"""The service in front of two real `vllm serve` processes: equal scores, real cancellation, one killed."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from service_process import ServiceProcess
from shape_calls import group_call
from vllm_process import VllmProcess

from edit_rrm_shapes.world.dataset import EditRecord, make_edit

PROBABILITY_TOLERANCE = 1e-3
CALLS, CALL_CANDIDATES, CALLERS = 38, 8, 6  # 304 candidates
EQUAL_EDITS = 3
NOTICE_LIMIT_S = 30.0


@dataclass(frozen=True)
class Fleet:
    """The service and what is behind it."""

    service: ServiceProcess
    upstreams: tuple[VllmProcess, VllmProcess]

    def metric(self, name: str) -> float:
        """The sum of one of the service's metrics."""
        families = text_string_to_metric_families(self.service.http.get("/metrics").text)
        return sum(s.value for family in families for s in family.samples if s.name == name)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two upstreams and a service that keeps no score, all ready."""
    one, other = (VllmProcess(tmp_path_factory.mktemp("vllm")) for _ in range(2))
    service = ServiceProcess(
        tmp_path_factory.mktemp("fleet"),
        *("--set", "engine=openai", "--set", f"upstreams={one.url}/v1,{other.url}/v1"),
        *("--set", "score_cache_mib=0", "--set", "window=32", "--set", "affinity_slack=8"),
    )
    try:
        one.wait_until_ready()
        other.wait_until_ready()
        service.wait_until_ready()
        wait_until(lambda: up(service) == 2)
        yield Fleet(service, (one, other))
    finally:
        status, left = service.end(), service.left_behind()
        for upstream in (one, other):
            upstream.kill()
    assert status == 0, service.log.read_text()[-3000:]
    assert left == []


@pytest.mark.parametrize("sampling", [{"temperature": 0.0}, {"temperature": 0.7, "seed": 11}])
def test_scores_are_those_of_the_engine_in_process(
    fleet: Fleet, trained: ServiceProcess, sampling: dict[str, Any]
) -> None:
    gaps, errors = [], 0
    for index in range(EQUAL_EDITS):
        edit = make_edit(seed=4200, index=index, candidate_count=CALL_CANDIDATES)
        call = group_call(
            edit, guards="off", include=["reasoning"], aggregator="soft", sampling=sampling, principles=None
        )
        there, here = (service.http.post("/v1/score", **call).json() for service in (fleet.service, trained))
        assert there["model"] == here["model"]
        assert there["principles"] == here["principles"]  # the decomposition's text is equal
        for name in ("prompt_tokens", "completion_tokens"):
            assert there["usage"][name] == here["usage"][name]
        assert there["usage"]["cached_prompt_tokens"] > there["usage"]["prompt_tokens"] / 3
        assert [r["status"] for r in there["results"]] == [r["status"] for r in here["results"]]
        for one, other in zip(there["results"], here["results"], strict=True):
            if one["status"] == "error":
                errors += 1
                continue
            assert [s["reasoning"] for s in one["samples"]] == [s["reasoning"] for s in other["samples"]]
            assert one["score"] == other["score"]
            gaps.append(abs(one["reward"] - other["reward"]))  # the mean probability
            for verdict, expected in zip(one["verdicts"], other["verdicts"], strict=True):
                gaps.append(abs(verdict.pop("probability") - expected.pop("probability")))
                assert verdict == expected
    print(f"{sampling}: {len(gaps)} probabilities, largest difference {max(gaps):.1e}; {errors} unparsed")
    assert max(gaps) <= PROBABILITY_TOLERANCE
    assert errors < EQUAL_EDITS * CALL_CANDIDATES / 4


def test_a_caller_that_goes_away_ends_its_work_in_the_fleet(fleet: Fleet, edit: EditRecord) -> None:
    candidates = [{"part": f"c{i % 8}"} for i in range(32)]
    call = group_call(edit, candidates=candidates, guards="off", samples=16, sampling={"temperature": 0.7})
    with httpx.Client(base_url=fleet.service.url, timeout=httpx.Timeout(60.0, read=3.0)) as http:
        before = finished(fleet)
        with pytest.raises(httpx.ReadTimeout):
            http.post("/v1/score", **call)
    wait_until(lambda: fleet.metric("edit_rrm_jobs_in_flight") == 0)
    wait_until(lambda: all(u.metric("vllm:num_requests_running") == 0 for u in fleet.upstreams))
    assert finished(fleet) - before < 32 * 16


def test_of_300_candidates_none_is_lost_when_an_upstream_is_killed(fleet: Fleet) -> None:
    edits = [make_edit(seed=4100, index=index, candidate_count=CALL_CANDIDATES) for index in range(CALLS)]
    failed_before = fleet.metric("edit_rrm_upstream_failures_total")
    before = [upstream.metric("vllm:request_success_total") for upstream in fleet.upstreams]
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = [pool.submit(score, fleet, edit) for edit in edits]
        wait_until(
            lambda: all(
                u.metric("vllm:request_success_total") > then + 20 and u.metric("vllm:num_requests_running")
                for u, then in zip(fleet.upstreams, before, strict=True)
            ),
            within_s=120.0,
        )
        fleet.upstreams[0].kill()
        results = [result for answer in answers for result in answer.result()]
    assert len(results) == CALLS * CALL_CANDIDATES
    codes = [result["error"]["code"] for result in results if result["status"] == "error"]
    assert set(codes) <= {"trace_unparseable"}  # the model's own doing, which no upstream could mend
    assert len(codes) < len(results) / 20
    assert fleet.metric("edit_rrm_upstream_failures_total") > failed_before
    assert up(fleet.service) == 1
    assert fleet.service.http.get("/ready").status_code == 200


def score(fleet: Fleet, edit: EditRecord) -> list[dict[str, Any]]:
    """The results of one call, which must be answered."""
    call = group_call(edit, CALL_CANDIDATES, guards="off")
    response = httpx.post(f"{fleet.service.url}/v1/score", timeout=300.0, **call)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = json.loads(response.content)["results"]
    return found


def finished(fleet: Fleet) -> float:
    """Prompts that the upstreams finished."""
    return sum(upstream.metric("vllm:request_success_total") for upstream in fleet.upstreams)


def up(service: ServiceProcess) -> float:
    """Upstreams that take prompts."""
    families = text_string_to_metric_families(service.http.get("/metrics").text)
    return sum(s.value for family in families for s in family.samples if s.name == "edit_rrm_upstream_up")


def wait_until(condition: Callable[[], bool], within_s: float = NOTICE_LIMIT_S) -> None:
    """Waits until the condition holds; fails if it does not."""
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
