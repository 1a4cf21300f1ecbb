"""Live weights: calls finish on the weights they began with, caches are emptied, a failed load is no loss."""

import asyncio
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_service import CARD, Running, Start, until
from scripted_engine import Asked, ScriptedEngine, trace
from small_calls import BLUE, b64, score_body

from edit_rrm_server.engines.detached_thread import run_detached
from edit_rrm_server.engines.loaded_model import LoadedModel

OLD, NEW = "01dc0ffee000", "0000000000e0"
SCORES = {OLD: 2.0, NEW: 8.0}
ADMIN = {"Authorization": "Bearer admin-key"}
SAMPLED = {"temperature": 0.7}


class Weights:
    """A loader of checkpoints named `old` and `new`, whose engines write scores of their own.

    `broken` names checkpoints that do not load; `gate` holds a load, `job_gate` every prompt.
    """

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.engines: list[ScriptedEngine] = []
        self.broken: set[str] = set()
        self.gate: asyncio.Event | None = None
        self.job_gate: asyncio.Event | None = None

    async def __call__(self, checkpoint: Path) -> LoadedModel:
        name = checkpoint.name
        self.loaded.append(name)
        assert all(engine.stopped for engine in self.engines), "two engines at once"
        if self.gate is not None:
            await self.gate.wait()
        if name in self.broken:
            raise OSError("no space left on device")
        digest = NEW if name == "new" else OLD

        def script(asked: Asked) -> str:
            return trace(asked, SCORES[digest]) if asked.verifies else DECOMPOSED[digest]

        engine = ScriptedEngine(script)
        engine.gate = self.job_gate
        self.engines.append(engine)
        return LoadedModel(engine, CARD, digest, "Q", 2048)


DECOMPOSED = {
    digest: f"1. follow: is it {word}?\n2. keep: is the rest the same?\n3. quality: is it clean?"
    for digest, word in ((OLD, "old"), (NEW, "new"))
}


async def reloadable(start: Start, root: Path, weights: Weights, **changes: Any) -> Running:
    """A service of the old checkpoint."""
    defaults = {"admin_api_keys": "admin-key", "engine_restart_backoff_s": 0.0, "load_from": weights}
    return await start(reload_root=root, model=root / "old", **{**defaults, **changes})


async def reload(running: Running, path: object = "new") -> httpx.Response:
    return await running.http.post("/v1/admin/reload", json={"path": str(path)}, headers=ADMIN)


async def test_other_weights_serve_and_no_cache_remembers_the_old_ones(start: Start, root: Path) -> None:
    weights = Weights()
    running = await reloadable(start, root, weights)
    before = [(await running.score(principles=None)).json() for _ in range(2)]
    assert before[1]["results"][0]["cached"]
    response = await reload(running)
    assert response.status_code == 200
    answer = response.json()
    assert (answer["previous"], answer["model"]) == (f"scripted@{OLD}", f"scripted@{NEW}")
    assert (len(running.service.score_cache), weights.loaded) == (0, ["old", "new"])
    after = (await running.score(principles=None)).json()
    assert (before[0]["model"], before[0]["results"][0]["score"]) == (f"scripted@{OLD}", 2.0)
    assert (after["model"], after["results"][0]["score"]) == (f"scripted@{NEW}", 8.0)
    assert (after["principles_from"], after["principles"][0]["question"]) == ("model", "is it new?")
    assert not after["results"][0]["cached"]
    metrics = (await running.http.get("/metrics")).text
    assert 'edit_rrm_reloads_total{outcome="ok"} 1.0' in metrics
    assert "edit_rrm_engine_deaths_total 0.0" in metrics


async def test_running_calls_finish_first_and_new_ones_are_told_to_come_back(
    start: Start, root: Path
) -> None:
    weights = Weights()
    weights.job_gate = asyncio.Event()
    running = await reloadable(start, root, weights)
    call = asyncio.create_task(running.score(candidates=[b64(BLUE)] * 5, guards="off", sampling=SAMPLED))
    await until(lambda: weights.engines[0].running == 5)
    reloading = asyncio.create_task(reload(running))
    await until(lambda: running.service.state == "loading")
    for response in (await running.score(), await running.http.get("/ready")):
        assert (response.status_code, response.json()["code"]) == (503, "loading")
        assert int(response.headers["Retry-After"]) >= 1
    assert weights.loaded == ["old"]
    weights.job_gate.set()
    answer = (await call).json()
    assert answer["model"] == f"scripted@{OLD}"
    assert {result["score"] for result in answer["results"]} == {2.0}
    assert (await reloading).status_code == 200
    assert weights.loaded == ["old", "new"]
    assert (await running.http.get("/ready")).json()["model"] == f"scripted@{NEW}"


async def test_a_call_whose_body_arrives_during_a_reload_is_not_admitted_to_the_old_weights(
    start: Start, root: Path
) -> None:
    weights = Weights()
    running = await reloadable(start, root, weights)
    body = json.dumps(score_body()).encode()
    half, may_finish = asyncio.Event(), asyncio.Event()

    transport = Streaming(running.app, half, may_finish, body)
    call = asyncio.create_task(transport.post())
    await half.wait()
    weights.gate = asyncio.Event()
    reloading = asyncio.create_task(reload(running))
    await until(lambda: weights.loaded == ["old", "new"])
    may_finish.set()
    assert json.loads(await call)["code"] == "loading"
    weights.gate.set()
    assert (await reloading).status_code == 200


class Streaming:
    """A score request over plain ASGI whose second half comes when it may."""

    def __init__(self, app: Any, half: asyncio.Event, may_finish: asyncio.Event, body: bytes) -> None:
        self._app, self._half, self._may_finish = app, half, may_finish
        self._messages = [
            {"type": "http.request", "body": body[:100], "more_body": True},
            {"type": "http.request", "body": body[100:], "more_body": False},
        ]

    async def post(self) -> bytes:
        """The answer's body."""
        sent: list[Any] = []

        async def receive() -> Any:
            if len(self._messages) == 1:
                self._half.set()
                await self._may_finish.wait()
            return self._messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v1/score", "raw_path": b"/v1/score",
            "query_string": b"", "headers": [(b"content-type", b"application/json")],
            "http_version": "1.1", "scheme": "http",
        }  # fmt: skip
        await self._app(scope, receive, send)
        return b"".join(message.get("body", b"") for message in sent)


async def test_under_load_every_answer_is_of_the_weights_it_names(start: Start, root: Path) -> None:
    weights = Weights()
    running = await reloadable(start, root, weights, window=4)
    answers: list[dict[str, Any]] = []
    stop = asyncio.Event()

    async def trainer(number: int) -> None:
        while not stop.is_set():
            response = await running.score(
                instruction=f"edit {number}", principles=None, candidates=[b64(BLUE)] * 3, sampling=SAMPLED
            )
            if response.status_code == 200:
                answers.append(response.json())
            else:
                assert response.json()["code"] == "loading"
                # One that asks again at once holds the interpreter, which the decoding threads need too.
                await until(lambda: running.service.state != "loading")

    trainers = [asyncio.create_task(trainer(number)) for number in range(6)]
    for path in ("new", "old", "new"):
        seen = len(answers)
        await until(lambda seen=seen: len(answers) > seen + 6)  # type: ignore[misc]
        assert (await reload(running, path)).status_code == 200
    seen = len(answers)
    await until(lambda: len(answers) > seen + 6)
    stop.set()
    await asyncio.gather(*trainers)
    assert {answer["model"] for answer in answers} == {f"scripted@{OLD}", f"scripted@{NEW}"}
    for answer in answers:
        digest = answer["model"].split("@")[1]
        assert {result["score"] for result in answer["results"]} == {SCORES[digest]}
        assert answer["principles"][0]["question"] == DECOMPOSED[digest].split("\n")[0].split(": ")[1]


async def test_a_stream_pauses_and_loses_no_line(start: Start, root: Path) -> None:
    weights = Weights()
    weights.job_gate = asyncio.Event()
    running = await reloadable(start, root, weights, window=2)
    lines = b"".join(
        json.dumps(score_body(key=number, guards="off", sampling=SAMPLED)).encode() + b"\n"
        for number in range(40)
    )
    media_type = {"content-type": "application/x-ndjson"}
    stream = asyncio.create_task(running.http.post("/v1/score/stream", content=lines, headers=media_type))
    await until(lambda: weights.engines[0].running == 2)
    reloading = asyncio.create_task(reload(running))
    await until(lambda: running.service.state == "loading")
    weights.job_gate.set()
    assert (await reloading).status_code == 200
    answers = [json.loads(line) for line in (await stream).text.splitlines()]
    assert sorted(answer["key"] for answer in answers) == list(range(40))
    models = [answer["model"] for answer in answers]
    assert {f"scripted@{OLD}", f"scripted@{NEW}"} == set(models)
    assert all(a["results"][0]["score"] == (8.0 if a["model"].endswith(NEW) else 2.0) for a in answers)


async def test_a_checkpoint_that_does_not_load_leaves_the_old_weights_serving(
    start: Start, root: Path
) -> None:
    weights = Weights()
    weights.broken = {"new"}
    running = await reloadable(start, root, weights)
    response = await reload(running)
    assert (response.status_code, response.json()["code"]) == (502, "reload_failed")
    assert "the old weights serve" in response.json()["detail"]
    assert "no space" not in response.text
    assert weights.loaded == ["old", "new", "old"]
    assert (await running.score()).json()["model"] == f"scripted@{OLD}"
    assert 'edit_rrm_reloads_total{outcome="failed"} 1.0' in (await running.http.get("/metrics")).text
    weights.broken = set()
    assert (await reload(running)).status_code == 200


async def test_if_the_old_weights_do_not_load_again_either_they_are_tried_as_after_a_death(
    start: Start, root: Path
) -> None:
    weights = Weights()
    running = await reloadable(start, root, weights, engine_restart_limit=3)
    weights.broken = {"new", "old"}
    assert (await reload(running)).json()["code"] == "reload_failed"
    assert running.service.state == "engine_dead"
    weights.broken = set()
    await until(lambda: running.service.state == "ready")
    assert (await running.score()).json()["model"] == f"scripted@{OLD}"


async def test_an_engine_that_dies_after_a_reload_is_restarted_with_the_new_weights(
    start: Start, root: Path
) -> None:
    weights = Weights()
    running = await reloadable(start, root, weights)
    await reload(running)
    weights.engines[-1].alive = False
    await until(lambda: len(weights.loaded) == 3 and running.service.state == "ready")
    assert weights.loaded == ["old", "new", "new"]
    assert (await running.score()).json()["model"] == f"scripted@{NEW}"


async def test_calls_that_do_not_finish_in_time_cost_the_reload_and_not_themselves(
    start: Start, root: Path
) -> None:
    weights = Weights()
    weights.job_gate = asyncio.Event()
    running = await reloadable(start, root, weights, drain_timeout_s=0.05)
    call = asyncio.create_task(running.score())
    await until(lambda: weights.engines[0].running == 1)
    response = await reload(running)
    assert (response.status_code, response.json()["code"]) == (502, "reload_failed")
    assert (weights.loaded, running.service.state) == (["old"], "ready")
    weights.job_gate.set()
    assert (await call).json()["model"] == f"scripted@{OLD}"


async def test_one_reload_at_a_time_and_it_goes_on_without_who_asked_for_it(start: Start, root: Path) -> None:
    weights = Weights()
    running = await reloadable(start, root, weights)
    weights.gate = asyncio.Event()
    first = asyncio.create_task(reload(running))
    await until(lambda: len(weights.loaded) == 2)
    response = await reload(running)
    assert (response.status_code, response.json()["code"]) == (409, "reload_running")
    first.cancel()
    weights.gate.set()
    await until(lambda: running.service.state == "ready")
    assert running.service.model.weights_digest == NEW


async def test_stopping_during_a_reload_does_not_wait_for_it(start: Start, root: Path) -> None:
    weights = Weights()
    running = await reloadable(start, root, weights)
    weights.gate = asyncio.Event()
    reloading = asyncio.create_task(reload(running))
    await until(lambda: len(weights.loaded) == 2)
    async with asyncio.timeout(10.0):
        await running.service.stop()
    reloading.cancel()
    assert all(engine.stopped for engine in weights.engines)


async def test_draining_gives_a_reload_up_and_says_so(start: Start, root: Path) -> None:
    weights = Weights()
    running = await reloadable(start, root, weights)
    weights.gate = asyncio.Event()
    reloading = asyncio.create_task(reload(running))
    await until(lambda: len(weights.loaded) == 2)
    assert await running.service.drain(timeout_s=10.0)
    answer = await reloading
    assert (answer.status_code, answer.json()["code"]) == (503, "draining")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_draining_lets_the_calls_finish_that_a_reload_waits_for(start: Start, root: Path) -> None:
    weights = Weights()
    weights.job_gate = asyncio.Event()
    running = await reloadable(start, root, weights)
    call = asyncio.create_task(running.score())
    await until(lambda: weights.engines[0].running == 1)
    reloading = asyncio.create_task(reload(running))
    await until(lambda: running.service.state == "loading")
    draining = asyncio.create_task(running.service.drain(timeout_s=10.0))
    assert (await reloading).json()["code"] == "draining"
    weights.job_gate.set()
    assert (await call).json()["results"][0]["score"] == SCORES[OLD]
    assert await draining
    assert weights.loaded == ["old"]


async def test_a_reload_while_the_engine_restarts_waits_for_the_load_that_it_gives_up(
    start: Start, root: Path
) -> None:
    """As vLLM's loads do, these go on in a thread that cannot be interrupted."""
    weights, may_load, told = Weights(), threading.Event(), list[str]()

    def begin() -> None:
        told.append("begins")
        may_load.wait()

    async def load(checkpoint: Path) -> LoadedModel:
        await run_detached(begin, undo=lambda _: told.append("undone"))
        return await weights(checkpoint)

    may_load.set()
    running = await reloadable(start, root, weights, load_from=load)
    may_load.clear()
    weights.engines[0].alive = False
    await until(lambda: len(told) == 2)  # the restart
    reloading = asyncio.create_task(reload(running))
    await asyncio.sleep(0.2)
    assert told == ["begins"] * 2
    may_load.set()
    assert (await reloading).status_code == 200
    assert told == ["begins", "begins", "undone", "begins"]
    assert weights.loaded == ["old", "new"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer call-key"}, {"Authorization": "x"}])
async def test_only_an_admin_key_may_reload(start: Start, root: Path, headers: dict[str, str]) -> None:
    weights = Weights()
    running = await reloadable(start, root, weights, api_keys="call-key")
    response = await running.http.post("/v1/admin/reload", json={"path": "new"}, headers=headers)
    assert response.status_code in (401, 403)
    assert response.json()["code"] in ("missing_key", "bad_key")
    assert weights.loaded == ["old"]


async def test_an_admin_key_does_not_score(start: Start, root: Path) -> None:
    running = await reloadable(start, root, Weights(), api_keys="call-key")
    response = await running.http.post("/v1/score", json=score_body(), headers=ADMIN)
    assert (response.status_code, response.json()["code"]) == (403, "bad_key")


async def test_without_a_root_there_is_no_such_route(running: Running) -> None:
    response = await running.http.post("/v1/admin/reload", json={"path": "x"}, headers=ADMIN)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_paths_below_the_root_are_taken_and_no_others(start: Start, root: Path) -> None:
    outside = root.parent / "outside"
    shutil.copytree(root / "new", outside)
    (root / "link-out").symlink_to(outside)
    (root / "link-in").symlink_to(root / "new")
    (root / "empty").mkdir()
    shutil.copytree(root / "new", root / "bad-card")
    (root / "bad-card" / "rrm.json").write_text("{}")
    weights = Weights()
    running = await reloadable(start, root, weights)
    refused = ["../outside", outside, "link-out", "/etc", "absent", "empty", "bad-card", "\0", "."]
    for path in [*refused, "new/config.json"]:
        response = await reload(running, path)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request"), path
    assert weights.loaded == ["old"]
    outside_says = (await reload(running, "../outside")).json()["detail"]
    assert outside_says == (await reload(running, "absent")).json()["detail"]
    for path in ("new", root / "old", "link-in", "../root/old"):
        assert (await reload(running, path)).status_code == 200
    assert weights.loaded == ["old", "new", "old", "new", "old"]


async def test_a_run_is_loaded_by_its_directory_and_an_unfinished_one_says_what_it_holds(
    start: Start, root: Path
) -> None:
    shutil.copytree(root / "new", root / "run" / "final")
    (root / "begun").mkdir()
    (root / "begun" / "log.jsonl").touch()
    weights = Weights()
    running = await reloadable(start, root, weights)
    assert (await reload(running, "run")).status_code == 200
    assert weights.loaded == ["old", "final"]
    said = (await reload(running, "begun")).json()["detail"]
    assert said == "path: config.json or *.safetensors are missing there: it holds log.jsonl"


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"path": ""}', b'{"path": "new", "force": true}'])
async def test_a_body_that_is_wrong_is_refused(start: Start, root: Path, body: bytes) -> None:
    running = await reloadable(start, root, Weights())
    headers = {**ADMIN, "content-type": "application/json"}
    response = await running.http.post("/v1/admin/reload", content=body, headers=headers)
    assert response.json()["code"] in ("malformed_json", "invalid_request")


async def test_an_adapter_below_the_root_is_taken_where_the_operator_has_set_its_base(
    start: Start, root: Path
) -> None:
    adapter = root / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "/etc"}')
    weights = Weights()
    running = await reloadable(start, root, weights)
    refused = await reload(running, "adapter")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert "only where `base` is set" in refused.json()["detail"]
    with_base = await reloadable(start, root, Weights(), base=str(root / "old"))
    assert (await reload(with_base, "adapter")).status_code == 200


async def test_a_hub_id_is_no_path_below_the_root(start: Start, root: Path) -> None:
    running = await reloadable(start, root, Weights())
    response = await reload(running, "org/name")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
