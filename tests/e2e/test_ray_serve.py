"""The service as a Ray Serve application on a local cluster: two replicas, each with vLLM inside."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from shape_calls import group_call

from edit_rrm_shapes.world.dataset import EditRecord

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy" / "ray"))

from local_cluster import local_cluster, run_replicas
from replica import REPLICA_HEADER
from replica_metrics import STALE_AFTER_S

RETURN_LIMIT_S = 240.0
GONE_LIMIT_S = 30.0
SESSIONS = [f"session-{number}" for number in range(24)]

pytestmark = pytest.mark.own_process


class Fleet:
    """Two replicas behind Ray's proxy."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=120.0)

    def replica_of(self, session: str) -> str:
        """Which replica answers this session."""
        answer = self.http.get("/v1/models", headers={"X-Session-Id": session})
        assert answer.status_code == 200, answer.text
        return answer.headers[REPLICA_HEADER]

    def targets(self) -> list[dict[str, Any]]:
        """Where Prometheus is told to look."""
        found: list[dict[str, Any]] = self.http.get("/metrics/targets").json()
        return found

    def score(self, edit: EditRecord, session: str) -> httpx.Response:
        """A small group in a session."""
        return self.http.post(
            "/v1/score", **group_call(edit, count=2, guards="off"), headers={"X-Session-Id": session}
        )


def running() -> dict[str, int]:
    """The process of each replica that runs, as Ray's controller has it."""
    from ray.serve.context import _get_global_client

    details: dict[str, Any] = _get_global_client().get_serve_details()
    replicas = details["applications"]["edit-rrm"]["deployments"]["edit-rrm"]["replicas"]
    return {found["replica_id"]: found["pid"] for found in replicas if found["state"] == "RUNNING"}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with local_cluster(cpus=4) as url:
        run_replicas(2, score_cache_mib=0, kv_cache_gib=0.5)
        fleet = Fleet(url)
        yield fleet
        fleet.http.close()


def test_both_replicas_serve_and_a_session_stays_with_its_replica(fleet: Fleet, edit: EditRecord) -> None:
    replicas = {session: fleet.replica_of(session) for session in SESSIONS}
    assert set(replicas.values()) == running().keys()
    assert len(set(replicas.values())) == 2
    assert {session: fleet.replica_of(session) for session in SESSIONS} == replicas
    for replica in set(replicas.values()):
        session = next(session for session, name in replicas.items() if name == replica)
        answer = fleet.score(edit, session)
        assert answer.status_code == 200, answer.text
        assert answer.headers[REPLICA_HEADER] == replica
        assert len(answer.json()["results"]) == 2


def test_a_killed_replica_leaves_nothing_the_other_carries_on_and_it_returns(
    fleet: Fleet, edit: EditRecord
) -> None:
    sessions = {fleet.replica_of(session): session for session in SESSIONS}
    (killed, process_id), (other, _) = sorted(running().items())
    process = psutil.Process(process_id)
    engine = process.children(recursive=True)
    assert engine
    process.kill()
    started = time.monotonic()
    served = 0
    while len(back := running()) < 2 or killed in back:
        assert time.monotonic() - started < RETURN_LIMIT_S
        answer = fleet.score(edit, sessions[other])
        assert answer.status_code == 200, answer.text
        # The one that returns may take the session over before this loop sees that it runs.
        assert answer.headers[REPLICA_HEADER] != killed
        served += answer.headers[REPLICA_HEADER] == other
    assert served
    _, alive = psutil.wait_procs(engine, timeout=GONE_LIMIT_S)
    for orphan in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()
    assert alive == []
    (returned,) = set(back) - {other}
    assert returned in {fleet.replica_of(session) for session in SESSIONS}


def test_prometheus_can_read_each_replica_that_runs(fleet: Fleet) -> None:
    started = time.monotonic()
    while {found["labels"]["replica"] for found in fleet.targets()} != running().keys():
        assert time.monotonic() - started < STALE_AFTER_S + GONE_LIMIT_S, fleet.targets()
        time.sleep(0.5)
    for found in fleet.targets():
        (address,) = found["targets"]
        assert 'edit_rrm_state{state="ready"} 1.0' in httpx.get(f"http://{address}/metrics").text
