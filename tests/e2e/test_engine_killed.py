"""kill -9 of the real engine process under a call, idle, draining, once too often; of the fork server too."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from service_process import ServiceProcess, served
from shape_calls import group_call

from edit_rrm_shapes.world.dataset import EditRecord

NOTICE_LIMIT_S = 20.0
ANSWER_LIMIT_S = 40.0
END_LIMIT_S = 60.0
RESTART_LIMIT_S = 240.0
HANG_S = 15
CANDIDATES = 64
# Two further restarts may leave this much more: an engine client that leaked would leave three threads
# and a dozen descriptors each time.
SLACK_THREADS, SLACK_DESCRIPTORS = 2, 5


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A ready server that restarts its engine at once and keeps no score, so that every score is new."""
    settings = ["engine_restart_backoff_s=0.1", "score_cache_mib=0", f"engine_hang_s={HANG_S}"]
    settings.append("quarantine_s=0")  # no prompt is to blame for what these tests do
    options = [part for setting in settings for part in ("--set", setting)]
    with served(tmp_path_factory.mktemp("mortal"), *options) as process:
        yield process


def test_a_call_in_the_engine_at_its_death_is_answered_and_the_next_scores_as_before(
    mortal: ServiceProcess, edit: EditRecord
) -> None:
    before = scores(mortal, edit)
    deaths, restarts = deaths_of(mortal), restarts_of(mortal)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(mortal.http.post, "/v1/score", **long_call(edit))
        wait_until(lambda: value(mortal, "edit_rrm_jobs_in_flight") > 0, ANSWER_LIMIT_S)
        kill_engine(mortal)
        wait_until(lambda: state(mortal) == "engine_dead", NOTICE_LIMIT_S)
        assert value(mortal, "edit_rrm_engine_up") == 0
        refused = mortal.http.post("/v1/score", **group_call(edit, count=1))
        assert (refused.status_code, refused.json()["code"]) == (503, "engine_dead")
        assert int(refused.headers["Retry-After"]) >= 1
        assert_every_candidate_is_answered(call.result(ANSWER_LIMIT_S))
    mortal.wait_until_ready()
    assert (deaths_of(mortal), restarts_of(mortal)) == (deaths + 1, restarts + 1)
    assert_same(before, scores(mortal, edit))
    assert value(mortal, "edit_rrm_jobs_in_flight") == 0


def test_a_stopped_engine_is_taken_for_hung_killed_and_replaced(
    mortal: ServiceProcess, edit: EditRecord
) -> None:
    before = scores(mortal, edit)
    deaths, hangs = deaths_of(mortal), value(mortal, "edit_rrm_engine_hangs_total")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(mortal.http.post, "/v1/score", **long_call(edit))
        wait_until(lambda: value(mortal, "edit_rrm_jobs_in_flight") > 0, ANSWER_LIMIT_S)
        (stopped,) = engines(mortal)
        stopped.suspend()
        assert_every_candidate_is_answered(call.result(HANG_S + ANSWER_LIMIT_S))
    assert state(mortal) == "engine_dead"
    wait_until(lambda: is_gone(stopped), ANSWER_LIMIT_S)
    mortal.wait_until_ready()
    assert deaths_of(mortal) == deaths + 1
    assert value(mortal, "edit_rrm_engine_hangs_total") == hangs + 1
    assert_same(before, scores(mortal, edit))


def test_an_idle_engines_death_is_noticed_unasked_and_restarts_leave_nothing_behind(
    mortal: ServiceProcess,
) -> None:
    replace_engine(mortal)  # the first restart may create what later ones find
    processes, threads, descriptors = held(mortal)
    for _ in range(2):
        replace_engine(mortal)

    def has_grown_no_further() -> bool:
        now = held(mortal)
        return (
            now[0] == processes
            and now[1] <= threads + SLACK_THREADS
            and now[2] <= descriptors + SLACK_DESCRIPTORS
        )

    wait_until(
        has_grown_no_further,
        ANSWER_LIMIT_S,
        lambda: f"{held(mortal)} after {processes, threads, descriptors}",
    )


def test_the_fork_servers_death_takes_the_engine_along_and_both_come_back(
    mortal: ServiceProcess, edit: EditRecord
) -> None:
    before = scores(mortal, edit)
    (engine,) = engines(mortal)
    (forking,) = fork_servers(mortal)
    forking.kill()
    wait_until(lambda: is_gone(engine), ANSWER_LIMIT_S)  # not left running without anybody to talk to
    wait_until(lambda: bool(engines(mortal)), RESTART_LIMIT_S)
    mortal.wait_until_ready()
    assert [found.pid for found in fork_servers(mortal)] != [forking.pid]
    assert_same(before, scores(mortal, edit))


def test_a_death_while_draining_ends_the_drain(mortal: ServiceProcess, edit: EditRecord) -> None:
    """The last of them that asks this server: it ends it."""
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(mortal.http.post, "/v1/score", **long_call(edit))
        wait_until(lambda: value(mortal, "edit_rrm_jobs_in_flight") > 0, ANSWER_LIMIT_S)
        mortal.process.send_signal(signal.SIGTERM)
        wait_until(lambda: state(mortal) == "draining", NOTICE_LIMIT_S)
        kill_engine(mortal)
        assert_every_candidate_is_answered(call.result(ANSWER_LIMIT_S))
    assert mortal.process.wait(END_LIMIT_S) == 0, mortal.log.read_text()[-3000:]
    assert mortal.left_behind() == []


def test_a_death_too_many_ends_the_service_for_its_supervisor(tmp_path: Path) -> None:
    process = ServiceProcess(tmp_path, "--set", "engine_restart_limit=0")
    try:
        process.wait_until_ready()
        kill_engine(process)
        assert process.process.wait(END_LIMIT_S) == 1
        assert "the engine died and is given up" in process.log.read_text()
    finally:
        process.end()
        left = process.left_behind()
    assert left == []


def long_call(edit: EditRecord) -> dict[str, Any]:
    """Most of a minute's work: 64 candidates, eight different samples of each."""
    return group_call(
        edit,
        candidates=[{"part": f"c{i % 8}"} for i in range(CANDIDATES)],
        samples=8,
        sampling={"temperature": 0.7},
        guards="off",
    )


def assert_every_candidate_is_answered(response: httpx.Response) -> None:
    """Either the call failed as a whole, or each candidate has its result and some name the death."""
    answer = response.json()
    if response.status_code == 503:
        assert answer["code"] == "engine_dead"
        assert f"all {CANDIDATES} candidates" in answer["detail"]
        assert int(response.headers["Retry-After"]) >= 1
        return
    assert response.status_code == 200, answer
    assert len(answer["results"]) == CANDIDATES
    codes = [result["error"]["code"] for result in answer["results"] if result["status"] == "error"]
    assert "engine_dead" in codes
    assert set(codes) <= {"engine_dead", "trace_unparseable"}
    assert all(result["reward"] is None for result in answer["results"] if result["status"] == "error")


def scores(process: ServiceProcess, edit: EditRecord) -> list[dict[str, Any]]:
    """The results of a greedy call."""
    response = process.http.post("/v1/score", **group_call(edit, guards="off", sampling={"temperature": 0.0}))
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    assert any(result["status"] == "ok" for result in results)
    assert not any(result.get("cached") for result in results)
    return results


def assert_same(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """Equal in all that was written; probabilities to what the order of a sum can change."""
    for then, now in zip(before, after, strict=True):
        assert (now["status"], now["reward"]) == (then["status"], then["reward"])
        if then["status"] == "error":
            assert now["error"]["code"] == then["error"]["code"]
            continue
        assert now["score"] == then["score"]
        for verdict, earlier in zip(now["verdicts"], then["verdicts"], strict=True):
            assert verdict["probability"] == pytest.approx(earlier["probability"], abs=1e-3)
            for field in ("principle", "met", "evidence"):
                assert verdict[field] == earlier[field]


def state(process: ServiceProcess) -> str:
    """What /ready says."""
    response = process.http.get("/ready")
    return "ready" if response.status_code == 200 else str(response.json()["code"])


def value(process: ServiceProcess, name: str, **labels: str) -> float:
    """The value of one metric."""
    for family in text_string_to_metric_families(process.http.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    raise AssertionError(f"there is no metric {name} {labels}")


def deaths_of(process: ServiceProcess) -> float:
    """Deaths counted so far."""
    return value(process, "edit_rrm_engine_deaths_total")


def restarts_of(process: ServiceProcess) -> float:
    """Restarts counted so far."""
    return value(process, "edit_rrm_engine_restarts_total", outcome="ok")


def fork_servers(process: ServiceProcess) -> list[psutil.Process]:
    """The service's fork server; none while it is being started again."""
    children = psutil.Process(process.process.pid).children()
    return [child for child in children if "multiprocessing.forkserver" in command(child)]


def engines(process: ServiceProcess) -> list[psutil.Process]:
    """The engine processes: what the fork server has forked."""
    try:
        return [
            child for forking in fork_servers(process) for child in forking.children() if not is_gone(child)
        ]
    except psutil.NoSuchProcess:
        return []


def command(process: psutil.Process) -> str:
    """The command line; empty when the process is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended; its parent may not have taken note."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill_engine(process: ServiceProcess) -> psutil.Process:
    """Kills the engine process, which had no chance to say goodbye."""
    (engine,) = engines(process)
    engine.kill()
    return engine


def replace_engine(process: ServiceProcess) -> None:
    """Kills the engine and asks the service nothing until another one is there."""
    killed = kill_engine(process)
    wait_until(lambda: any(found.pid != killed.pid for found in engines(process)), RESTART_LIMIT_S)
    process.wait_until_ready()


def held(process: ServiceProcess) -> tuple[int, int, int]:
    """Processes of the service; threads and file descriptors of its first one."""
    first = psutil.Process(process.process.pid)
    return len(process.processes()), first.num_threads(), first.num_fds()


def wait_until(condition: Callable[[], bool], within_s: float, found: Callable[[], str] = str) -> None:
    """Waits until the condition holds; fails if it does not."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_s, found()
        time.sleep(0.02)
