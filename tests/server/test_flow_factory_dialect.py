"""Flow-Factory's POST /compute on the real application with a scripted engine."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from foreign_calls import GREEN, colours, compute_body, start_many_sources, text
from running_service import Running, Start, until
from scripted_engine import Asked, ScriptedEngine, trace, well_behaved
from small_calls import BLUE, RED, picture, png

from edit_rrm_server.engines.loaded_model import LoadedModel

DIALECT = {"dialects": "flow_factory"}


def by_green(asked: Asked) -> str:
    """Principles, or a trace whose score is a twentieth of the candidate's green."""
    if not asked.verifies:
        return well_behaved(asked)
    _, green, _ = asked.images[list(asked.images)[1]].image.getpixel((24, 24))
    return trace(asked, score=green / 20)


async def compute(running: Running, *edited: bytes, **fields: Any) -> httpx.Response:
    return await running.http.post("/compute", json=compute_body(*edited, **fields))


async def test_rewards_come_in_the_prompts_order(start: Start) -> None:
    running = await start(ScriptedEngine(by_green), **DIALECT)
    response = await compute(running, GREEN, BLUE)
    assert (response.status_code, response.json()) == (200, {"rewards": [1.0, 0.15]})
    running.assert_idle()


async def test_edits_of_one_source_and_prompt_are_one_group_wherever_they_stand(start: Start) -> None:
    running = await start(**DIALECT)
    other = png(picture((200, 200, 30)))
    response = await compute(
        running, BLUE, GREEN, BLUE, condition_images=[[text(RED)], [text(other)], [text(RED)]]
    )
    assert len(response.json()["rewards"]) == 3
    decomposed = [asked for asked in running.engine.asked if not asked.verifies]
    assert len(decomposed) == 2
    metrics = (await running.http.get("/metrics")).text
    assert 'edit_rrm_candidates_total{outcome="ok"} 3.0' in metrics
    assert 'edit_rrm_requests_total{code="ok",route="/compute",status="200"} 1.0' in metrics


async def test_guards_are_switched_by_the_rewards_own_arguments(start: Start) -> None:
    running = await start(ScriptedEngine(by_green), **DIALECT)
    assert (await compute(running, RED)).json() == {"rewards": [0.0]}  # nothing was edited
    for guards in ("report", {"no_edit": "off"}):
        assert (await compute(running, RED, kwargs={"guards": guards})).json() == {"rewards": [0.15]}
    refused = (await compute(running, RED, kwargs={"guards": "on"})).json()
    assert refused["code"] == "invalid_request"
    assert "guards" in refused["error"]


async def test_condition_images_are_sources_in_order_and_make_groups_of_their_own(start: Start) -> None:
    running = await start_many_sources(start, **DIALECT)
    both, turned = [text(RED), text(BLUE)], [text(BLUE), text(RED)]
    response = await compute(running, GREEN, GREEN, GREEN, condition_images=[both, turned, both[:1]])
    assert (response.status_code, response.json()) == (200, {"rewards": [1.0, 1.0, 1.0]})
    seen = {colours(asked) for asked in running.engine.asked}
    assert seen == {"red blue green", "blue red green", "red green"}
    running.assert_idle()


async def test_a_judge_of_one_source_makes_an_edit_of_two_an_error_and_no_number(start: Start) -> None:
    running = await start(ScriptedEngine(by_green), **DIALECT)
    response = await compute(running, GREEN, BLUE, condition_images=[[text(RED)], [text(RED), text(BLUE)]])
    answer = response.json()
    assert (response.status_code, answer["code"], sorted(answer)) == (
        200,
        "invalid_request",
        ["code", "error"],
    )
    assert "1 of 2 edits were not scored; item 1: sources: the judge" in answer["error"]
    assert "takes 1, got 2" in answer["error"]
    running.assert_idle()


async def test_without_the_setting_there_is_no_such_address(running: Running) -> None:
    assert (await compute(running)).status_code == 404


async def test_an_edit_that_cannot_be_scored_is_an_error_and_no_number(start: Start) -> None:
    def blue_fails(asked: Asked) -> str:
        return (
            "nonsense" if asked.verifies and by_green(asked) == trace(asked, score=1.5) else by_green(asked)
        )

    running = await start(ScriptedEngine(blue_fails), **DIALECT)
    response = await compute(running, GREEN, BLUE)
    assert response.status_code == 200  # the client raises at once for it, and tries any other status again
    answer = response.json()
    assert answer["code"] == "trace_unparseable"
    assert answer["error"].startswith("trace_unparseable: 1 of 2 edits were not scored; item 1: ")
    assert "rewards" not in answer
    metrics = (await running.http.get("/metrics")).text
    assert 'edit_rrm_requests_total{code="trace_unparseable",route="/compute",status="200"} 1.0' in metrics


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"condition_images": None}, "condition_images: expected one for each of 1 prompts, got 0"),
        ({"image": None}, "image: expected one for each of 1 prompts, got 0"),
        ({"condition_images": [[]]}, "condition_images.0: expected 1 to 4 source images, got 0"),
        ({"condition_images": [["a"] * 5]}, "condition_images.0: expected 1 to 4 source images, got 5"),
        ({"video": [["frame"]]}, "video: only images are judged"),
        ({"prompt": [" "]}, "item 0: instruction"),
        ({"prompt": "text"}, "prompt: Input should be a valid array"),
        ({"image": ["?"]}, "is not base64"),
        ({"image": [text(BLUE[:60])]}, "broken_image"),
        ({"condition_images": [[text(RED[:60])]]}, "broken_image"),
    ],
)
async def test_a_wrong_request_is_an_error_that_says_what_was_expected(
    start: Start, fields: dict[str, Any], expected: str
) -> None:
    running = await start(**DIALECT)
    response = await compute(running, **fields)
    assert response.status_code == 200
    assert expected in response.json()["error"]
    running.assert_idle()


async def test_fields_the_trainer_adds_are_passed_over_and_no_edits_are_no_rewards(start: Start) -> None:
    running = await start(**DIALECT)
    assert (await compute(running, kwargs={"epoch": 3}, later=1)).json() == {"rewards": [0.6]}
    response = await running.http.post("/compute", json={"prompt": [], "image": None})
    assert response.json() == {"rewards": []}


class TestHolding:
    async def test_a_full_queue_holds_the_call_until_there_is_room(self, start: Start) -> None:
        running = await start(**DIALECT, window=1, queue_capacity=3)
        running.engine.gate = asyncio.Event()
        first = asyncio.create_task(running.score(candidates=[{"b64": text(BLUE)}, {"b64": text(GREEN)}]))
        await until(lambda: running.engine.running == 1)
        assert running.service.batcher.waiting_jobs == 1
        held = asyncio.create_task(compute(running, BLUE, GREEN))  # needs 3 of the 2 places left
        await until(lambda: running.service.active_calls == 2)
        assert not held.done()
        running.engine.gate.set()
        assert (await first).status_code == 200
        assert (await held).json() == {"rewards": [0.6, 0.6]}
        assert "edit_rrm_jobs_refused_total 0.0" in (await running.http.get("/metrics")).text
        running.assert_idle()

    async def test_a_call_that_waited_long_enough_is_refused_by_a_status_the_client_tries_again(
        self, start: Start
    ) -> None:
        running = await start(**DIALECT, window=1, queue_capacity=2, dialect_wait_s=0.05)
        running.engine.gate = asyncio.Event()
        first = asyncio.create_task(running.score(candidates=[{"b64": text(BLUE)}, {"b64": text(GREEN)}]))
        await until(lambda: running.engine.running == 1)
        response = await compute(running, BLUE)
        assert (response.status_code, response.json()["code"]) == (429, "queue_full")
        assert int(response.headers["Retry-After"]) >= 1
        running.engine.gate.set()
        assert (await first).status_code == 200
        running.assert_idle()

    async def test_calls_are_let_in_in_the_order_in_which_they_came(self, start: Start) -> None:
        running = await start(**DIALECT, window=1, queue_capacity=2, score_cache_mib=0)
        running.engine.gate = asyncio.Event()
        order: list[str] = []

        async def call(name: str, *edited: bytes) -> None:
            assert (await compute(running, *edited)).status_code == 200
            order.append(name)

        tasks = []
        for number, (name, edited) in enumerate(
            {"first": (BLUE,), "large": (BLUE, GREEN), "small": (GREEN,)}.items(), 1
        ):
            tasks.append(asyncio.create_task(call(name, *edited)))
            await until(lambda number=number: running.service.active_calls == number)
            await until(lambda: running.engine.running == 1)
        running.engine.gate.set()
        await asyncio.gather(*tasks)
        assert order == ["first", "large", "small"]
        running.assert_idle()

    async def test_a_body_waits_for_its_room(self, start: Start) -> None:
        padded = {"kwargs": {"padding": "x" * 1024}}
        size = len(httpx.Request("POST", "http://service", json=compute_body(**padded)).content)
        running = await start(**DIALECT, max_body_bytes=size, max_total_body_bytes=size)
        running.engine.gate = asyncio.Event()
        first = asyncio.create_task(compute(running, **padded))
        await until(lambda: running.engine.running == 1)
        second = asyncio.create_task(compute(running, **padded))
        await until(lambda: running.service.active_calls == 2)
        running.engine.gate.set()
        assert [(await call).json() for call in (first, second)] == [{"rewards": [0.6]}] * 2
        assert running.service.body_budget.held_bytes == 0

    async def test_whoever_has_a_body_does_not_wait_for_whoever_waits_for_one(self, start: Start) -> None:
        content = httpx.Request(
            "POST", "http://service", json=compute_body(kwargs={"padding": "x" * 1024})
        ).content
        limits = {"max_body_bytes": len(content), "max_total_body_bytes": len(content)}
        running = await start(**DIALECT, **limits, dialect_wait_s=3600.0)
        headers = {"content-type": "application/json", "content-length": str(len(content))}
        may_go_on = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield content[:100]
            await may_go_on.wait()
            yield content[100:]

        first = asyncio.create_task(running.http.post("/compute", content=slowly(), headers=headers))
        await until(lambda: running.service.body_budget.held_bytes == 100)
        second = asyncio.create_task(running.http.post("/compute", content=content, headers=headers))
        await until(lambda: running.service.active_calls == 2)
        may_go_on.set()
        async with asyncio.timeout(60):
            assert (await first).json() == (await second).json() == {"rewards": [0.6]}

    async def test_a_model_that_is_being_loaded_is_waited_for(self, start: Start) -> None:
        loaded = asyncio.Event()
        running = await start(**DIALECT)
        model = running.service.model

        async def slowly() -> LoadedModel:
            await loaded.wait()
            return model

        running = await start(load=slowly, wait=False, **DIALECT)
        call = asyncio.create_task(compute(running))
        await until(lambda: running.service.active_calls == 1)
        assert running.service.state == "loading"
        loaded.set()
        assert (await call).json() == {"rewards": [0.6]}
        running = await start(load=asyncio.Event().wait, wait=False, **DIALECT, dialect_wait_s=0.0)
        response = await compute(running)
        assert (response.status_code, response.json()["code"]) == (503, "loading")

    async def test_an_engine_that_dies_under_a_call_is_answered_by_a_status(self, start: Start) -> None:
        running = await start(**DIALECT, engine_restart_limit=0, dialect_wait_s=0.0)
        running.engine.gate = asyncio.Event()
        call = asyncio.create_task(compute(running, BLUE, GREEN))
        await until(lambda: running.engine.running == 1)
        running.engine.alive = False
        running.engine.gate.set()
        response = await call
        assert (response.status_code, response.json()["code"]) == (503, "engine_dead")


async def test_keys_are_asked_for_and_may_stand_in_the_address(start: Start) -> None:
    running = await start(**DIALECT, api_keys="right")
    assert (await compute(running)).status_code == 401
    for password, status in (("right", 200), ("wrong", 403), ("", 401)):
        response = await running.http.post("/compute", json=compute_body(), auth=("any", password))
        assert response.status_code == status, password


async def test_a_body_over_the_limit_is_refused(start: Start) -> None:
    running = await start(**DIALECT, max_body_bytes=1024)
    response = await compute(running, kwargs={"padding": "x" * 1024})
    assert response.json()["code"] == "body_too_large"
