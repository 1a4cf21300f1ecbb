"""A call by its key is answered once: on /v1, and on the dialect that has no key of its own."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from foreign_calls import text
from running_service import Running, Start, until
from scripted_engine import Asked, ScriptedEngine, trace, well_behaved
from small_calls import BLUE, RED, b64, picture, png, score_body

from edit_rrm_server.api.idempotency import IdempotentAnswers
from edit_rrm_server.errors import RequestRefusedError

GREEN = png(picture((30, 220, 30)))


def falling() -> ScriptedEngine:
    """An engine whose scores fall with every trace, so that a second one would show."""
    scores = iter(range(9, 0, -1))
    return ScriptedEngine(lambda a: trace(a, score=next(scores)) if a.verifies else well_behaved(a))


async def post(
    running: Running, key: str | None = "k", path: str = "/v1/score", **fields: Any
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = score_body(**fields)
    if path == "/v1/decompose":
        body = {name: body[name] for name in ("instruction", "source")}
    return await running.http.post(path, json=body, headers=headers)


def scores(*answers: httpx.Response) -> list[float]:
    return [result["score"] for answer in answers for result in answer.json()["results"]]


async def test_a_key_repeats_its_answer_and_no_token_is_written_again(start: Start) -> None:
    running = await start(falling(), score_cache_mib=0)
    first = await post(running, deadline_s=60.0)
    again = await post(running, deadline_s=30.0, priority="bulk")  # what a caller says that asks again
    assert again.json() == first.json()
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"] == first.json()["id"]
    assert len(running.engine.asked) == 1
    assert scores(first, await post(running, None), await post(running, "other")) == [9.0, 8.0, 7.0]
    running.assert_idle()


async def test_a_form_is_known_by_its_parts_and_not_by_its_boundary(start: Start) -> None:
    running = await start(falling(), score_cache_mib=0)

    async def form(boundary: str, edited: bytes) -> httpx.Response:
        body = score_body(source={"part": "s"}, candidates=[{"part": "c"}])
        files = {"request": (None, json.dumps(body).encode()), "s": ("s", RED), "c": ("c", edited)}
        headers = {"Idempotency-Key": "k", "content-type": f"multipart/form-data; boundary={boundary}"}
        return await running.http.post("/v1/score", files=files, headers=headers)

    assert scores(await form("one", BLUE), await form("two", BLUE)) == [9.0, 9.0]
    assert (await form("one", GREEN)).status_code == 422


async def test_a_call_in_flight_is_joined(start: Start) -> None:
    running = await start(falling(), score_cache_mib=0)
    running.engine.gate = asyncio.Event()
    calls = [asyncio.create_task(post(running)) for _ in range(3)]
    await until(lambda: running.service.active_calls == 3 and running.engine.running == 1)
    late = await post(running, deadline_s=0.01)
    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")  # its own, not the others'
    running.engine.gate.set()
    assert scores(*await asyncio.gather(*calls)) == [9.0] * 3
    running.assert_idle()


async def test_who_waits_takes_over_from_a_caller_that_went_away(start: Start) -> None:
    running = await start(falling(), score_cache_mib=0)
    running.engine.gate = asyncio.Event()
    gone = asyncio.create_task(post(running))
    await until(lambda: running.engine.running == 1)
    waiting = [asyncio.create_task(post(running)) for _ in range(2)]
    await until(lambda: running.service.active_calls == 3)
    gone.cancel()
    await until(lambda: len(running.engine.asked) == 2)
    running.engine.gate.set()
    assert scores(*await asyncio.gather(*waiting)) == [9.0] * 2
    running.assert_idle()


@pytest.mark.parametrize("change", [{"instruction": "other"}, {"candidates": [b64(GREEN)]}, {"samples": 2}])
async def test_a_key_with_another_body_is_refused_and_keeps_its_answer(
    start: Start, change: dict[str, Any]
) -> None:
    running = await start(falling(), score_cache_mib=0)
    first = await post(running)
    refused = await post(running, **change)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert refused.json()["detail"] == "Idempotency-Key: was used for another payload"
    assert (await post(running)).json() == first.json()


async def test_a_key_is_of_one_address_and_both_have_them(start: Start) -> None:
    running = await start()
    found = await post(running, path="/v1/decompose")
    again = await post(running, path="/v1/decompose")
    assert found.status_code == 200
    assert again.json() == found.json()  # the id too
    assert (await post(running)).status_code == 422


async def test_two_callers_with_one_key_do_not_meet(start: Start) -> None:
    running = await start(falling(), score_cache_mib=0, api_keys="one,two")
    answers = []
    for caller in ("one", "two", "one"):
        running.http.headers["Authorization"] = f"Bearer {caller}"
        answers.append(await post(running))
    assert scores(*answers) == [9.0, 8.0, 9.0]
    running.http.headers["Authorization"] = "Bearer two"
    assert (await post(running, candidates=[b64(GREEN)])).status_code == 422


def nonsense_first(count: int) -> ScriptedEngine:
    texts = iter(["nonsense"] * count)

    def script(asked: Asked) -> str:
        return next(texts, trace(asked)) if asked.verifies else well_behaved(asked)

    return ScriptedEngine(script)


@pytest.mark.parametrize("candidates", [[b64(BLUE)], [b64(BLUE), b64(GREEN)]])
async def test_a_failure_is_not_kept_nor_is_one_of_several(start: Start, candidates: list[Any]) -> None:
    running = await start(nonsense_first(1), retries=0)
    failed = await post(running, candidates=candidates)
    if len(candidates) == 1:
        assert (failed.status_code, failed.json()["code"]) == (502, "trace_unparseable")
    else:
        assert sorted(result["status"] for result in failed.json()["results"]) == ["error", "ok"]
    assert scores(await post(running, candidates=candidates)) == [6.0] * len(candidates)


@pytest.mark.parametrize("key", ["", "two words", "ä", "k" * 256])
async def test_what_is_no_key_is_refused(start: Start, key: str) -> None:
    running = await start()
    headers = {"Idempotency-Key": key.encode("latin-1")}
    refused = await running.http.post("/v1/score", json=score_body(), headers=headers)  # type: ignore[arg-type]
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert "Idempotency-Key: expected 1 to 255" in refused.json()["detail"]


async def test_flow_factory_has_them_too(start: Start) -> None:
    running = await start(falling(), score_cache_mib=0, dialects="flow_factory")

    async def compute(prompt: str) -> dict[str, Any]:
        body = {"prompt": [prompt], "image": [text(BLUE)], "condition_images": [[text(RED)]]}
        answer: dict[str, Any] = (
            await running.http.post("/compute", json=body, headers={"Idempotency-Key": "k"})
        ).json()
        return answer

    assert [await compute("make it blue") for _ in range(2)] == [{"rewards": [0.9]}] * 2
    assert (await compute("make it red"))["code"] == "invalid_request"


class TestAnswers:
    """What keeps them."""

    async def test_the_oldest_go_first_and_clearing_forgets_all(self) -> None:
        answered: IdempotentAnswers[str] = IdempotentAnswers("keys.{place}", capacity=2)
        for key in ("a", "b", "a", "c"):
            with answered.claim({0: (("me", key), "payload")}) as claim:
                claim.settle(0, key.upper(), keep=True)
        assert len(answered) == 2
        with answered.claim({0: (("me", "a"), "payload"), 1: (("me", "b"), "payload")}) as claim:
            assert list(claim.others) == [0]
            assert await claim.from_others() == {0: "A"}
            claim.settle(1, "B", keep=True)
        answered.clear()
        assert len(answered) == 0

    async def test_bytes_are_bounded_and_what_runs_is_not_dropped(self) -> None:
        answered: IdempotentAnswers[str] = IdempotentAnswers("keys.{place}", capacity_bytes=10)
        with answered.claim({0: (("me", "runs"), "payload")}) as running:
            for key in ("a", "b", "c"):
                with answered.claim({0: (("me", key), "payload")}) as claim:
                    claim.settle(0, key, keep=True, size_bytes=4)
            assert (len(answered), answered.size_bytes) == (3, 8)  # the one that runs, b and c
            running.settle(0, "long", keep=True, size_bytes=11)
        assert (len(answered), answered.size_bytes) == (2, 8)  # too large an answer is not kept

    async def test_a_claim_that_ends_early_frees_its_keys(self) -> None:
        answered: IdempotentAnswers[str] = IdempotentAnswers("keys.{place}")
        with pytest.raises(ZeroDivisionError), answered.claim({0: (("me", "a"), "payload")}):
            raise ZeroDivisionError
        assert len(answered) == 0

    async def test_a_refused_claim_takes_nothing(self) -> None:
        answered: IdempotentAnswers[str] = IdempotentAnswers("keys.{place}")
        with pytest.raises(RequestRefusedError, match=r"keys\.1: was used"):
            answered.claim({0: (("me", "a"), "one"), 1: (("me", "a"), "two")})
        assert len(answered) == 0
