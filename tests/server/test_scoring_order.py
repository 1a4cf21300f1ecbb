"""The order of a score: a candidate meets the model as soon as its own guards are done."""

import asyncio

from running_service import Start, until
from scripted_engine import Asked, ScriptedEngine
from small_calls import BLUE, RED, b64, picture, png

from edit_rrm.guards import EditGuards, GuardResult
from edit_rrm.images import EditImage, ImageLimits
from edit_rrm.wire import Priority
from edit_rrm_server.errors import EngineError

GREEN = png(picture((20, 160, 40)))


async def test_the_engine_begins_while_guards_of_other_candidates_are_still_being_checked(
    start: Start,
) -> None:
    running = await start()
    held = asyncio.Event()
    check = running.service.intake.check
    checked = 0

    async def slow_but_for_the_first(
        guards: EditGuards, candidate: EditImage, lane: Priority
    ) -> tuple[GuardResult, ...]:
        nonlocal checked
        checked += 1
        if checked > 1:
            await held.wait()
        return await check(guards, candidate, lane)

    running.service.intake.check = slow_but_for_the_first  # type: ignore[method-assign]
    call = asyncio.create_task(running.score(candidates=[b64(BLUE), b64(GREEN)]))
    await until(lambda: len(running.engine.asked) == 1)
    assert checked == 2
    held.set()
    answer = (await call).json()
    assert [result["status"] for result in answer["results"]] == ["ok", "ok"]
    assert len(running.engine.asked) == 2
    running.assert_idle()


async def test_the_engine_begins_while_other_candidates_are_still_being_decoded(start: Start) -> None:
    running = await start()
    held = asyncio.Event()
    decode = running.service.intake.decode

    async def slow_for_the_second(file: bytes, limits: ImageLimits, lane: Priority) -> EditImage:
        if file == GREEN:
            await held.wait()
        return await decode(file, limits, lane)

    running.service.intake.decode = slow_for_the_second  # type: ignore[method-assign]
    call = asyncio.create_task(running.score(candidates=[b64(BLUE), b64(GREEN)]))
    await until(lambda: len(running.engine.asked) == 1)
    held.set()
    answer = (await call).json()
    assert [result["status"] for result in answer["results"]] == ["ok", "ok"]
    running.assert_idle()


async def test_a_candidate_that_is_no_base64_refuses_the_call_though_another_is_fine(start: Start) -> None:
    running = await start()
    answer = await running.score(candidates=[b64(BLUE), {"b64": "no base64!"}])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["detail"].startswith("candidates.1: is not base64")
    running.assert_idle()


async def test_when_the_source_is_broken_no_candidate_is_waited_for(start: Start) -> None:
    running = await start()
    decode = running.service.intake.decode

    async def never_a_candidate(file: bytes, limits: ImageLimits, lane: Priority) -> EditImage:
        if file == BLUE:
            await asyncio.Event().wait()
        return await decode(file, limits, lane)

    running.service.intake.decode = never_a_candidate  # type: ignore[method-assign]
    answer = await running.score(source=b64(RED[:60]))
    assert (answer.status_code, answer.json()["code"]) == (422, "broken_image")
    running.assert_idle()


async def test_a_known_score_is_not_guarded_again(start: Start) -> None:
    running = await start()
    first = (await running.score()).json()["results"]

    async def no_check(guards: EditGuards, candidate: EditImage, lane: Priority) -> tuple[GuardResult, ...]:
        raise AssertionError("it was checked again")

    running.service.intake.check = no_check  # type: ignore[method-assign]
    assert (await running.score()).json()["results"] == [{**first[0], "cached": True}]
    running.assert_idle()


async def test_nothing_is_decomposed_when_guards_settle_every_candidate(start: Start) -> None:
    running = await start()
    answer = (await running.score(candidates=[b64(RED), b64(RED)], principles=None)).json()
    assert [result["reward"] for result in answer["results"]] == [0.0, 0.0]
    assert running.engine.asked == []
    running.assert_idle()


async def test_one_candidate_that_needs_the_model_is_enough_to_decompose(start: Start) -> None:
    running = await start()
    answer = (await running.score(candidates=[b64(RED), b64(BLUE)], principles=None)).json()
    assert [result["reward"] for result in answer["results"]] == [0.0, 0.6]
    assert [asked.verifies for asked in running.engine.asked] == [False, True]
    running.assert_idle()


async def test_what_an_engine_could_not_finish_is_not_drawn_otherwise_than_was_asked(start: Start) -> None:
    """Engines repeat it themselves, sampled the same: a retry at 0.3 was kept as the answer at 0."""

    def fails(asked: Asked) -> str:
        raise EngineError("could not finish the prompt")

    running = await start(engine=ScriptedEngine(fails))
    response = await running.score(candidates=[b64(BLUE)], sampling={"temperature": 0.0})
    assert (response.status_code, response.json()["code"]) == (502, "engine_failed")
    assert [asked.sampling.temperature for asked in running.engine.asked] == [0.0]
    running.assert_idle()
