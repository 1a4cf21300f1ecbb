"""UniRL's POST /score, GET /rewards and GET /health on the real application with a scripted engine."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from foreign_calls import GREEN, colours, score_batch, start_many_sources, text, wire_request
from running_service import Running, Start, until
from scripted_engine import Asked, ScriptedEngine, trace, well_behaved
from small_calls import BLUE, RED, picture, png
from test_reload import NEW, OLD, SCORES, Weights, reload, reloadable

DIALECT = {"dialects": "unirl"}
VERSION = "scripted@0123456789ab"


async def score(running: Running, *requests: dict[str, Any], **fields: Any) -> httpx.Response:
    return await running.http.post("/score", json=score_batch(*requests, **fields))


def second_unmet(asked: Asked) -> str:
    """Three principles (follow, keep, quality), the second not met; or a trace of score 7.1."""
    return trace(asked, score=7.1, unmet=(2,)) if asked.verifies else well_behaved(asked)


async def test_overall_comes_first_and_all_metrics_go_from_0_to_10(start: Start) -> None:
    running = await start(ScriptedEngine(second_unmet), **DIALECT)
    answer = (await score(running)).json()
    assert answer["protocol_version"] == "1"
    metrics = answer["results"][0]["edit_rrm"]
    assert metrics == {"overall": pytest.approx(7.1), "follow": 10.0, "keep": 0.0, "quality": 10.0}
    assert next(iter(metrics)) == "overall"
    assert answer["errors"] == [{}]
    running.assert_idle()


async def test_an_identity_is_echoed_with_the_version_of_what_scored(start: Start) -> None:
    running = await start(**DIALECT)
    sent = {"request_id": "a", "sample_id": "s", "group_id": "g", "source_rank": 3, "policy_version": 12}
    key = {"idempotency_key": "k"}
    answer = (await score(running, wire_request(**sent, **key, scorer_version=VERSION))).json()
    assert answer["identities"] == [{**sent, "scorer_version": VERSION, **key}]
    answer = (await score(running)).json()
    assert answer["identities"][0]["sample_id"] is None


async def test_health_and_rewards_name_what_can_be_asked_for(start: Start, running: Running) -> None:
    dialect = await start(**DIALECT, api_keys="right")
    health = (await dialect.http.get("/health")).json()
    assert health["status"] == "ok"
    assert health["rewards"] == {"edit_rrm": ["overall", "follow", "keep", "quality"]}
    response = await dialect.http.get("/rewards", auth=("any", "right"))
    assert response.json() == {"rewards": ["edit_rrm"]}
    assert "rewards" not in (await running.http.get("/health")).json()
    assert (await score(running)).status_code == 404


async def test_requests_of_one_edit_are_one_group_and_their_answers_keep_their_places(start: Start) -> None:
    running = await start(**DIALECT)
    other = png(picture((200, 200, 30)))
    await score(running, wire_request(BLUE), wire_request(GREEN, other), wire_request(GREEN))
    decomposed = [asked for asked in running.engine.asked if not asked.verifies]
    assert len(decomposed) == 2


async def test_a_request_that_fails_is_an_error_of_its_own(start: Start) -> None:
    running = await start(**DIALECT)
    answer = (
        await score(
            running,
            wire_request(BLUE),
            wire_request(BLUE[:60]),
            wire_request(history=[{"text": "x", "image_b64": "abc"}]),
            wire_request(history=[{"text": "x", "video_b64": "abc"}] * 2),
            wire_request(GREEN, RED[:60]),
        )
    ).json()
    assert [sorted(result) for result in answer["results"]] == [["edit_rrm"], [], [], [], []]
    codes = [error.get("edit_rrm", "").partition(":")[0] for error in answer["errors"]]
    assert codes == ["", "broken_image", "invalid_request", "invalid_request", "broken_image"]
    assert "got 1 turns" in answer["errors"][2]["edit_rrm"]


async def test_guards_are_switched_by_an_item_s_metadata(start: Start) -> None:
    running = await start(**DIALECT)
    words = [{}, {"metadata": {"guards": "report"}}, {"metadata": {"guards": {"no_edit": "off"}}}]
    answer = (await score(running, *(wire_request(RED, **fields) for fields in words))).json()
    copied, *judged = [result["edit_rrm"]["overall"] for result in answer["results"]]
    assert copied == 0.0
    assert min(judged) > 0.0


def of_sources(*sources: bytes, edited: bytes = GREEN, **fields: Any) -> dict[str, Any]:
    """A request whose source turn holds a list."""
    turns = [{"text": "x", "image_b64": [text(source) for source in sources]}]
    return wire_request(history=[*turns, {"text": "x", "image_b64": text(edited)}], **fields)


async def test_a_source_turn_with_a_list_has_several_sources_in_order(start: Start) -> None:
    running = await start_many_sources(start, **DIALECT)
    answer = (await score(running, of_sources(BLUE, RED), of_sources(RED))).json()
    assert [result["edit_rrm"]["overall"] for result in answer["results"]] == [10.0, 10.0]
    assert {colours(asked) for asked in running.engine.asked} == {"blue red green", "red green"}
    keyed = [of_sources(*sources, idempotency_key="k") for sources in ((RED, BLUE), (BLUE, RED))]
    assert (await score(running, keyed[0])).status_code == 200
    assert "another payload" in (await score(running, keyed[1])).json()["detail"]


async def test_sources_beyond_four_or_beyond_the_judges_are_the_errors_of_their_item(start: Start) -> None:
    running = await start(**DIALECT)
    two = {"text": "x", "image_b64": [text(BLUE), text(GREEN)]}
    wrong = [of_sources(RED, BLUE), of_sources(*[RED] * 5), wire_request(history=[two, two]), of_sources()]
    answer = (await score(running, wire_request(BLUE), *wrong)).json()
    assert [sorted(result) for result in answer["results"]] == [["edit_rrm"], [], [], [], []]
    told = [error.get("edit_rrm", "") for error in answer["errors"]]
    assert told[0] == ""
    assert all(each.startswith("invalid_request: ") for each in told[1:])
    for each, words in zip(
        told[1:],
        ("takes 1, got 2", "1 to 4 sources, got 5", "one edited image, got 2", "needs an image_b64"),
        strict=True,
    ):
        assert words in each
    running.assert_idle()


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (score_batch(protocol_version="2"), "protocol_version: expected '1', got '2'"),
        (score_batch(wire_request(required_rewards=["pickscore"])), "requests.0.required_rewards"),
        (score_batch(wire_request(required_rewards=[])), "requests.0.required_rewards"),
        (
            score_batch(wire_request(scorer_version="older")),
            f"requests.0.scorer_version: this service is '{VERSION}'",
        ),
        (score_batch(grad_mode=True), "grad_mode"),
        (score_batch(wire_request(instruction="")), "item 0: instruction"),
        ({"protocol_version": "1"}, "requests: Field required"),
    ],
    ids=["protocol", "reward", "no reward", "version", "gradient", "instruction", "no requests"],
)
async def test_what_no_request_could_be_served_with_is_refused_for_good(
    start: Start, batch: dict[str, Any], expected: str
) -> None:
    running = await start(**DIALECT)
    response = await running.http.post("/score", json=batch)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert expected in response.json()["detail"]
    assert running.engine.asked == []


async def test_fields_the_trainer_adds_are_passed_over_and_an_empty_batch_is_answered(start: Start) -> None:
    running = await start(**DIALECT)
    response = await score(running, wire_request(metadata={"any": 1}, later=2), call_id=None, later=3)
    assert response.json()["results"][0]["edit_rrm"]["overall"] == 6.0
    response = await running.http.post("/score", json={"protocol_version": "1", "requests": []})
    assert response.json() == {"results": [], "errors": [], "identities": [], "protocol_version": "1"}


class TestIdempotency:
    def once(self) -> ScriptedEngine:
        """An engine whose scores fall with every trace, so that a second one would show."""
        scores = iter(range(9, 0, -1))
        return ScriptedEngine(lambda a: trace(a, score=next(scores)) if a.verifies else well_behaved(a))

    async def overall(self, running: Running, **fields: Any) -> list[float]:
        answer = (await score(running, wire_request(idempotency_key="k", **fields))).json()
        return [result["edit_rrm"]["overall"] for result in answer["results"]]

    async def test_a_key_repeats_its_answer_though_nothing_else_is_kept(self, start: Start) -> None:
        running = await start(self.once(), **DIALECT, score_cache_mib=0)
        assert await self.overall(running) == [9.0]
        assert await self.overall(running, request_id="again") == [9.0]
        assert (await score(running)).json()["results"][0]["edit_rrm"]["overall"] == 8.0

    async def test_a_key_in_flight_is_worked_on_once_and_answers_both(self, start: Start) -> None:
        running = await start(self.once(), **DIALECT, score_cache_mib=0)
        running.engine.gate = asyncio.Event()
        calls = [asyncio.create_task(self.overall(running)) for _ in range(2)]
        await until(lambda: running.service.active_calls == 2)
        running.engine.gate.set()
        assert await asyncio.gather(*calls) == [[9.0], [9.0]]

    async def test_a_key_twice_in_a_batch_is_one_edit(self, start: Start) -> None:
        running = await start(self.once(), **DIALECT, score_cache_mib=0)
        answer = (await score(running, *[wire_request(idempotency_key="k")] * 2)).json()
        assert [result["edit_rrm"]["overall"] for result in answer["results"]] == [9.0, 9.0]

    async def test_whoever_waits_takes_over_from_a_caller_that_went_away(self, start: Start) -> None:
        running = await start(self.once(), **DIALECT, score_cache_mib=0)
        running.engine.gate = asyncio.Event()
        gone = asyncio.create_task(self.overall(running))
        await until(lambda: running.engine.running == 1)
        waiting = asyncio.create_task(self.overall(running))
        await until(lambda: running.service.active_calls == 2)
        gone.cancel()
        running.engine.gate.set()
        assert len(await waiting) == 1
        await until(lambda: running.service.active_calls == 0)
        running.assert_idle()

    async def test_a_key_with_another_payload_is_refused(self, start: Start) -> None:
        running = await start(**DIALECT)
        await self.overall(running)
        response = await score(running, wire_request(GREEN, idempotency_key="k"))
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
        assert "was used for another payload" in response.json()["detail"]
        response = await score(
            running, wire_request(BLUE, idempotency_key="n"), wire_request(GREEN, idempotency_key="n")
        )
        assert response.status_code == 422

    async def test_a_failure_is_not_kept(self, start: Start) -> None:
        texts = iter(["nonsense", "nonsense"])
        engine = ScriptedEngine(lambda a: next(texts, trace(a)) if a.verifies else well_behaved(a))
        running = await start(engine, **DIALECT)
        answer = (await score(running, wire_request(idempotency_key="k"))).json()
        assert answer["errors"][0]["edit_rrm"].startswith("trace_unparseable")
        assert await self.overall(running) == [6.0]

    async def test_a_key_is_its_caller_s_own(self, start: Start) -> None:
        running = await start(self.once(), **DIALECT, score_cache_mib=0, api_keys="one,two")
        found = []
        for key in ("one", "two", "one"):
            running.http.headers["Authorization"] = f"Bearer {key}"
            found += await self.overall(running)
        assert found == [9.0, 8.0, 9.0]
        answer = await score(running, wire_request(GREEN, idempotency_key="k"))
        assert answer.status_code == 422  # of the same caller it is what it was


class TestReloadWhileHeld:
    """The weights are replaced while a call waits for room in the queue."""

    async def held(self, start: Start, root: Path, **fields: Any) -> httpx.Response:
        weights = Weights()
        weights.job_gate = asyncio.Event()
        running = await reloadable(start, root, weights, **DIALECT, window=1, queue_capacity=2)
        first = asyncio.create_task(running.score(candidates=[{"b64": text(BLUE)}, {"b64": text(GREEN)}]))
        await until(lambda: weights.engines[0].running == 1)
        held = asyncio.create_task(score(running, wire_request(**fields)))
        await until(lambda: running.service.active_calls == 2)
        reloading = asyncio.create_task(reload(running))
        await until(lambda: running.service.state == "loading")
        weights.job_gate.set()
        assert (await first).json()["model"] == f"scripted@{OLD}"
        assert (await reloading).status_code == 200
        assert len(weights.engines[0].asked) == 2  # nothing of the call that was held
        return await held

    async def test_it_is_scored_by_the_new_weights_and_says_so(self, start: Start, root: Path) -> None:
        answer = (await self.held(start, root)).json()
        assert answer["results"][0]["edit_rrm"]["overall"] == SCORES[NEW]
        assert answer["identities"][0]["scorer_version"] == f"scripted@{NEW}"

    async def test_who_wants_the_old_ones_is_told(self, start: Start, root: Path) -> None:
        answer = await self.held(start, root, scorer_version=f"scripted@{OLD}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert f"this service is 'scripted@{NEW}'" in answer.json()["detail"]


async def test_the_body_is_no_other_than_on_v1(start: Start) -> None:
    running = await start(**DIALECT)
    response = await running.http.post("/score", content=b"{", headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "malformed_json")
    response = await running.http.post("/score", content=b"{}", headers={"content-type": "text/plain"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
