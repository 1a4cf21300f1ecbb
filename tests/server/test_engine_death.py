"""The engine dies under load: everything accepted is answered, the service restarts it or ends."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest
from running_service import CARD, Running, Start, until
from scripted_engine import ScriptedEngine
from small_calls import BLUE, RED, b64, picture

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.engines.watched_engine import WatchedEngine
from edit_rrm_server.errors import EngineLostError

SAMPLED = {"temperature": 0.7}  # no score of it is cached: every candidate reaches the engine


class Unreliable(ScriptedEngine):
    """Dies with the prompts in it when it has finished so many. It tells them nothing: they hang."""

    def __init__(self, lives: int) -> None:
        super().__init__()
        self._lives = lives

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        for _ in range(3):
            await asyncio.sleep(0)
        if self._lives == 0:
            self.alive = False
            await asyncio.Event().wait()
        self._lives -= 1
        return await super().generate(prompt, images, sampling, watched, group, adapter)


class Loads:
    """A loader that gives one engine after the other; None is a load that fails."""

    def __init__(self, *engines: ScriptedEngine | None, digests: tuple[str, ...] = ()) -> None:
        self._engines = list(engines)
        self._digests = list(digests)
        self.count = 0

    async def __call__(self) -> LoadedModel:
        self.count += 1
        engine = self._engines.pop(0) if self._engines else None
        if engine is None:
            raise OSError("no engine today")
        digest = self._digests.pop(0) if self._digests else "0123456789ab"
        return LoadedModel(engine, CARD, digest, "Q", 2048)


def held() -> ScriptedEngine:
    engine = ScriptedEngine()
    engine.gate = asyncio.Event()
    return engine


async def metric(running: Running, line: str) -> float:
    text = (await running.http.get("/metrics")).text
    return next(float(found.rsplit(" ", 1)[1]) for found in text.splitlines() if found.startswith(line + " "))


def blues(count: int) -> list[dict[str, str]]:
    return [b64(BLUE)] * count


async def test_running_and_queued_jobs_end_at_once_and_the_queued_never_reach_the_engine(
    start: Start,
) -> None:
    engine = held()
    running = await start(load=Loads(engine), window=3, engine_restart_limit=1)
    call = asyncio.create_task(running.score(candidates=blues(20), guards="off", sampling=SAMPLED))
    await until(lambda: engine.running == 3)
    engine.alive = False  # its gate stays shut: nothing but the death can end these prompts
    response = await call
    assert (response.status_code, response.json()["code"]) == (503, "engine_dead")
    assert int(response.headers["Retry-After"]) >= 1
    assert "all 20 candidates" in response.json()["detail"]
    assert len(engine.asked) == 3
    assert (running.service.batcher.waiting_jobs, running.service.batcher.jobs_in_flight) == (0, 0)


async def test_a_call_keeps_the_candidates_that_were_finished(start: Start) -> None:
    engine = Unreliable(lives=3)
    running = await start(load=Loads(engine), window=1, engine_restart_limit=1)
    response = await running.score(candidates=blues(8), guards="off", sampling=SAMPLED)
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["status"] for result in results] == ["ok"] * 3 + ["error"] * 5
    assert {result["error"]["code"] for result in results[3:]} == {"engine_dead"}
    assert all(result["reward"] is None for result in results[3:])


async def test_a_decomposition_in_the_engine_ends_its_call(start: Start) -> None:
    engine = held()
    running = await start(load=Loads(engine), engine_restart_limit=1)
    calls = [asyncio.create_task(running.score(principles=None)) for _ in range(3)]
    await until(lambda: engine.running == 1 and running.service.active_calls == 3)
    engine.alive = False
    for response in await asyncio.gather(*calls):
        assert (response.status_code, response.json()["code"]) == (503, "engine_dead")


async def test_ready_tells_of_the_death_at_once_and_of_the_restart(start: Start) -> None:
    first, second, may_load = ScriptedEngine(), ScriptedEngine(), asyncio.Event()
    loads = Loads(first, second)

    async def load() -> LoadedModel:
        if loads.count:
            await may_load.wait()
        return await loads()

    running = await start(load=load, engine_restart_backoff_s=0.0)
    first.alive = False
    for response in (
        await running.http.get("/ready"),
        await running.score(),
        await running.http.post("/v1/decompose", json={"instruction": "x", "source": b64(RED)}),
    ):
        assert (response.status_code, response.json()["code"]) == (503, "engine_dead")
        assert int(response.headers["Retry-After"]) >= 1
    assert (await running.http.get("/v1/models")).status_code == 200
    assert await metric(running, "edit_rrm_engine_up") == 0
    assert await metric(running, 'edit_rrm_state{state="engine_dead"}') == 1
    assert await metric(running, 'edit_rrm_state{state="ready"}') == 0
    may_load.set()
    await until(lambda: running.service.state == "ready")
    assert (await running.http.get("/ready")).status_code == 200
    assert (await running.score()).json()["results"][0]["score"] == 6.0
    assert (len(first.asked), len(second.asked)) == (0, 1)
    assert first.stopped
    assert await metric(running, "edit_rrm_engine_up") == 1
    assert await metric(running, "edit_rrm_engine_deaths_total") == 1
    assert await metric(running, 'edit_rrm_engine_restarts_total{outcome="ok"}') == 1
    assert await metric(running, 'edit_rrm_engine_restarts_total{outcome="failed"}') == 0


async def test_of_500_candidates_none_disappears_though_the_engine_dies_five_times(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = Loads(*(Unreliable(lives=60) for _ in range(5)), ScriptedEngine())
    # Nothing that is in it is to blame for its deaths.
    running = await start(load=loads, window=16, engine_restart_backoff_s=0.0, quarantine_s=0.0)
    batcher = running.service.batcher
    admit, accepted, answered = batcher.admit, 0, 0

    def counted(jobs: int, *rest: Any, **named: Any) -> Any:
        nonlocal accepted
        admission = admit(jobs, *rest, **named)
        accepted += jobs
        return admission

    monkeypatch.setattr(batcher, "admit", counted)

    async def trainer(group: int) -> list[float]:
        """The rewards of 50 candidates; those that failed are sent again."""
        nonlocal answered
        rewards: list[float] = []
        while missing := 50 - len(rewards):
            await until(lambda: running.service.state == "ready")
            response = await running.score(
                instruction=f"edit {group}", candidates=blues(missing), guards="off", sampling=SAMPLED
            )
            answer = response.json()
            if response.status_code == 200:
                results = answer["results"]
                assert len(results) == missing
                answered += missing
                rewards += [result["reward"] for result in results if result["status"] == "ok"]
                failed = [result["error"]["code"] for result in results if result["status"] == "error"]
                assert set(failed) <= {"engine_dead"}
            else:
                assert (response.status_code, answer["code"]) == (503, "engine_dead")
                answered += missing if answer["detail"].startswith(f"all {missing} candidates") else 0
        return rewards

    rewards = await asyncio.gather(*(trainer(group) for group in range(10)))
    assert [len(group) for group in rewards] == [50] * 10
    assert {reward for group in rewards for reward in group} == {0.6}
    assert accepted == answered > 500
    assert loads.count == 6
    assert await metric(running, "edit_rrm_engine_deaths_total") == 5
    assert await metric(running, 'edit_rrm_candidates_total{outcome="ok"}') == 500
    assert await metric(running, 'edit_rrm_candidates_total{outcome="engine_dead"}') == accepted - 500
    assert (batcher.waiting_jobs, batcher.jobs_in_flight, running.service.active_calls) == (0, 0, 0)


async def test_after_too_many_failures_the_service_has_failed(start: Start) -> None:
    engine = ScriptedEngine()
    loads = Loads(engine, None, None, None)
    running = await start(load=loads, engine_restart_limit=3, engine_restart_backoff_s=0.0)
    assert (await running.score()).status_code == 200
    engine.alive = False
    async with asyncio.timeout(30.0):
        await running.service.failed.wait()
    assert isinstance(running.service.failure, EngineLostError)
    assert loads.count == 1 + 3
    for response in (await running.http.get("/ready"), await running.score()):
        assert (response.status_code, response.json()["code"]) == (503, "engine_dead")
    assert await metric(running, 'edit_rrm_state{state="failed"}') == 1
    assert await metric(running, 'edit_rrm_engine_restarts_total{outcome="failed"}') == 3


async def test_a_death_while_draining_ends_the_drain_and_restarts_nothing(start: Start) -> None:
    engine = held()
    loads = Loads(engine, ScriptedEngine())
    running = await start(load=loads, engine_restart_backoff_s=0.0)
    call = asyncio.create_task(running.score(sampling=SAMPLED))
    await until(lambda: engine.running == 1)
    drain = asyncio.create_task(running.service.drain(60.0))
    await asyncio.sleep(0)
    assert not drain.done()
    engine.alive = False
    assert (await call).json()["code"] == "engine_dead"
    assert await drain is True
    await until(lambda: engine.stopped)
    assert (loads.count, running.service.failure) == (1, None)


async def test_stopping_while_the_engine_restarts_does_not_wait_for_it(start: Start) -> None:
    engine, loading, cancelled = ScriptedEngine(), asyncio.Event(), asyncio.Event()
    first = Loads(engine)

    async def load() -> LoadedModel:
        if not first.count:
            return await first()
        loading.set()
        try:
            return await asyncio.Future()
        finally:
            cancelled.set()

    running = await start(load=load, engine_restart_backoff_s=0.0)
    engine.alive = False
    await loading.wait()
    await running.service.stop()
    assert cancelled.is_set()
    assert running.service.failure is None


@pytest.mark.parametrize(("digest", "kept"), [("0123456789ab", 1), ("ffffffffffff", 0)])
async def test_caches_outlive_a_restart_but_not_other_weights(start: Start, digest: str, kept: int) -> None:
    engine = ScriptedEngine()
    loads = Loads(engine, ScriptedEngine(), digests=("0123456789ab", digest))
    running = await start(load=loads, engine_restart_backoff_s=0.0)

    class Notes(list[str]):
        """A cache of one entry."""

    notes = Notes(["what the first weights said"])
    running.service.caches.append(notes)
    engine.alive = False
    await until(lambda: loads.count == 2 and running.service.state == "ready")
    assert len(notes) == kept
    assert running.service.model.weights_digest == digest


async def test_a_prompt_that_the_engine_drops_by_cancelling_it_is_a_death_not_a_silence() -> None:
    class Dropping(ScriptedEngine):
        async def generate(self, *_: Any, **__: Any) -> Completion:
            raise asyncio.CancelledError

    engine = WatchedEngine(Dropping())
    task = asyncio.create_task(ask(engine))
    with pytest.raises(Exception, match="the engine has died") as ended:
        await task
    assert getattr(ended.value, "code", None) == "engine_dead"


async def test_a_prompt_that_its_caller_cancels_is_cancelled() -> None:
    inner = held()
    task = asyncio.create_task(ask(WatchedEngine(inner)))
    await until(lambda: inner.running == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert inner.aborted == 1


async def test_stopping_an_engine_ends_the_prompts_in_it() -> None:
    inner = held()
    engine = WatchedEngine(inner)
    task = asyncio.create_task(ask(engine))
    await until(lambda: inner.running == 1)
    await engine.stop()
    with pytest.raises(Exception, match="the engine has died"):
        await task
    assert inner.running == 0


async def ask(engine: WatchedEngine) -> Completion:
    """Any prompt."""
    image = EditImage.from_pil(picture())
    return await engine.generate(Prompt(()), {ImageSlot.SOURCE: image}, SamplingSettings(0.0, 1.0, 0, 1))


async def test_an_engine_that_hangs_is_ended_and_replaced(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    hanging, next_one = held(), ScriptedEngine()
    running = await start(
        load=Loads(hanging, next_one), window=2, engine_hang_s=1.0, engine_restart_backoff_s=0.0
    )
    call = asyncio.create_task(running.score(candidates=blues(4), guards="off", sampling=SAMPLED))
    await until(lambda: hanging.running == 2)
    hanging.hung_since = time.monotonic() - 60.0
    response = await call
    assert (response.status_code, response.json()["code"]) == (503, "engine_dead")
    await until(lambda: running.service.state == "ready")
    assert hanging.stopped
    assert hanging.alive  # it said nothing of it
    assert (await running.score()).json()["results"][0]["score"] == 6.0
    assert await metric(running, "edit_rrm_engine_hangs_total") == 1
    assert await metric(running, "edit_rrm_engine_deaths_total") == 1
    assert "the engine hangs: it has ended no step for 60 s; it is killed" in caplog.text


async def test_a_stall_that_is_over_at_the_second_look_is_none() -> None:
    """As after a pause of the whole service: what the engine said meanwhile is read late."""
    looks = 0

    class Once(ScriptedEngine):
        @property
        def stalled_s(self) -> float:
            nonlocal looks
            looks += 1
            return 60.0 if looks % 2 else 0.0

    engine = WatchedEngine(Once(), hang_s=0.2)
    watching = asyncio.create_task(engine.watch())
    await until(lambda: looks >= 6)
    assert not watching.done()
    assert engine.alive
    watching.cancel()
