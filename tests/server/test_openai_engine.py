"""The engine over a fleet: which upstream runs a prompt, what is tried again, what the caller is told."""

import asyncio
import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from running_service import until
from scripted_fleet import (
    GREEDY,
    PROMPT,
    Asked,
    Script,
    ScriptedFleet,
    chat_answer,
    image,
    raising,
    status,
    well,
)

from edit_rrm.images import EditImage, decode_image
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm_server.engines.engine import Completion
from edit_rrm_server.engines.openai.engine import OpenAIEngine, RetryPlan
from edit_rrm_server.errors import ServiceError

TEXT = "1. blue => 1"


async def ask(engine: OpenAIEngine, group: str = "g", prompt: Prompt = PROMPT) -> Completion:
    return await engine.generate(prompt, {ImageSlot.SOURCE: image()}, GREEDY, group=group)


def first_fails(script: Script) -> Script:
    """The script of a whole fleet whose first answer, wherever it is asked, is that of `script`."""
    calls: list[Asked] = []

    def answer(asked: Asked) -> Any:
        calls.append(asked)
        return script(asked) if len(calls) == 1 else well(asked)

    return answer


async def test_an_image_arrives_pixel_for_pixel_and_is_encoded_once() -> None:
    fleet = ScriptedFleet(a=well)
    engine = await fleet.engine()
    await asyncio.gather(*(ask(engine) for _ in range(3)))
    urls = {asked.body["messages"][1]["content"][0]["image_url"]["url"] for asked in fleet.asked}
    (url,) = urls
    head, data = url.split(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(decode_image(base64.b64decode(data)).image, image().image)
    assert engine._images.size_bytes == len(url)
    await engine.stop()


@pytest.mark.parametrize(("kind", "sent_as"), [("JPEG", "jpeg"), ("WEBP", "webp"), ("PNG", "png")])
async def test_a_callers_file_that_shows_the_pixels_is_sent_as_it_came(kind: str, sent_as: str) -> None:
    fleet = ScriptedFleet(a=well)
    engine = await fleet.engine()
    buffer = io.BytesIO()
    image().image.save(buffer, kind)
    kept = decode_image(buffer.getvalue(), keep_file=True)
    await engine.generate(PROMPT, {ImageSlot.SOURCE: kept}, GREEDY)
    (asked,) = fleet.asked
    url = asked.body["messages"][1]["content"][0]["image_url"]["url"]
    assert url == f"data:image/{sent_as};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    await engine.stop()


async def test_a_body_goes_out_a_little_at_a_time_with_its_length_declared() -> None:
    fleet = ScriptedFleet(a=well)
    engine = await fleet.engine()
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    large = EditImage.from_pil(Image.fromarray(noise))
    await engine.generate(PROMPT, {ImageSlot.SOURCE: large}, GREEDY)
    (asked,) = fleet.asked
    assert "transfer-encoding" not in asked.headers
    url = asked.body["messages"][1]["content"][0]["image_url"]["url"]
    assert int(asked.headers["content-length"]) > len(url) > 2**20
    assert np.array_equal(decode_image(base64.b64decode(url.split(",")[1])).image, noise)
    await engine.stop()


async def test_the_checkpoints_control_tokens_are_broken_on_their_way() -> None:
    fleet = ScriptedFleet(a=well)
    engine = await fleet.engine()
    await ask(engine, prompt=Prompt((Message("user", ("a<|im_end|>b",)),)))
    assert fleet.asked[0].body["messages"][0]["content"][0]["text"] == "a< |im_end|>b"
    await engine.stop()


@pytest.mark.parametrize(
    ("script", "code", "stays_up"),
    [
        (status(500), "engine_failed", True),
        (status(503), "engine_failed", False),
        (status(429), "queue_full", True),
        (status(401), "engine_failed", True),
        (raising(httpx.ConnectError), "engine_dead", False),
        (raising(httpx.RemoteProtocolError), "engine_dead", True),  # of an idle connection, say
        (raising(httpx.ReadError), "engine_dead", True),
        (raising(httpx.ConnectTimeout), "engine_dead", True),
        (raising(httpx.ReadTimeout), "engine_failed", True),
        (lambda _: httpx.Response(200, content=b"<html>"), "engine_failed", True),
        (lambda _: httpx.Response(200, json=chat_answer(finish_reason="abort")), "engine_failed", True),
    ],
)
async def test_what_fails_at_one_upstream_is_tried_at_another_at_once(
    script: Script, code: str, stays_up: bool
) -> None:
    script = first_fails(script)
    fleet = ScriptedFleet(a=script, b=script)
    engine = await fleet.engine()
    completion = await ask(engine)
    failed_at, helped = fleet.hosts
    assert completion.text == TEXT
    assert failed_at != helped
    assert fleet.slept_s == []
    assert fleet.metrics.failed == [(failed_at, code)]
    assert fleet.metrics.up == {failed_at: stays_up, helped: True}
    assert fleet.metrics.outstanding == {failed_at: 0, helped: 0}
    await engine.stop()


async def test_an_upstream_is_down_at_the_second_check_it_does_not_answer_and_up_at_the_first_it_does() -> (
    None
):
    fleet = ScriptedFleet(a=well, b=well)
    engine = await fleet.engine()
    states = []
    for answers in (False, False, True, False, True, False):
        fleet.silent = set() if answers else {"a"}
        await fleet.upstreams.check()
        states.append(fleet.metrics.up["a"])
    assert states == [True, False, True, True, True, True]
    assert fleet.metrics.up["b"]
    await engine.stop()


@pytest.mark.parametrize("code", [400, 413, 422])
async def test_a_prompt_the_model_cannot_take_is_refused_with_the_reason_and_tried_nowhere_else(
    code: int,
) -> None:
    fleet = ScriptedFleet(a=status(code), b=status(code))
    engine = await fleet.engine()
    with pytest.raises(ServiceError, match="says the upstream") as caught:
        await ask(engine)
    assert caught.value.code == "invalid_request"
    assert len(fleet.asked) == 1
    await engine.stop()


async def test_once_all_were_tried_the_delays_grow_until_the_attempts_are_used_up() -> None:
    fleet = ScriptedFleet(a=status(500), b=status(500))
    engine = await fleet.engine(retries=5)
    with pytest.raises(ServiceError, match="status 500") as caught:
        await ask(engine)
    assert caught.value.code == "engine_failed"
    assert sorted(fleet.hosts) == ["a"] * 3 + ["b"] * 3
    first_s, second_s = fleet.slept_s
    assert 0.25 <= first_s <= 0.5  # after two failures
    assert 1.0 <= second_s <= 2.0  # after four
    await engine.stop()


def test_delays_double_up_to_a_bound_are_spread_and_obey_the_upstream() -> None:
    plan = RetryPlan(retries=9, timeout_s=30.0)
    assert [plan.delay_s(failures, None, 1.0) for failures in (1, 2, 3, 60)] == [0.25, 0.5, 1.0, 8.0]
    assert plan.delay_s(1, None, 0.0) == 0.125
    assert plan.delay_s(1, 20.0, 0.5) == 20.0625  # what was asked, and a part that is drawn


async def test_a_full_fleet_is_left_alone_as_long_as_it_asks_and_then_the_caller_is_told() -> None:
    fleet = ScriptedFleet(a=status(429, **{"Retry-After": "7"}))
    engine = await fleet.engine(retries=2)
    with pytest.raises(ServiceError) as caught:
        await ask(engine)
    assert (caught.value.code, caught.value.retry_after_s) == ("queue_full", 7.0)
    assert fleet.slept_s == pytest.approx([7.0, 7.0], abs=0.25)  # and a part that is drawn
    await engine.stop()


@pytest.mark.parametrize("said", ["Wed, 21 Oct 2026 07:28:00 GMT", "nan", "-1", "inf"])
async def test_a_retry_after_that_is_no_time_is_passed_over(said: str) -> None:
    fleet = ScriptedFleet(a=first_fails(status(503, **{"Retry-After": said})), b=well)
    engine = await fleet.engine()
    assert (await ask(engine)).text == TEXT
    await engine.stop()


async def test_without_any_upstream_the_engine_is_not_alive_and_comes_back_by_itself() -> None:
    fleet = ScriptedFleet(a=well, b=well)
    engine = await fleet.engine(retries=1)
    fleet.down = {"a", "b"}
    with pytest.raises(ServiceError, match="no upstream") as caught:
        await ask(engine)
    assert (caught.value.code, engine.alive) == ("engine_dead", False)
    fleet.down = {"b"}
    await fleet.upstreams.check()
    assert engine.alive
    assert (await ask(engine)).text == TEXT
    assert fleet.metrics.up == {"a": True, "b": False}
    await engine.stop()


async def test_a_group_stays_together_and_groups_spread() -> None:
    fleet = ScriptedFleet(a=well, b=well)
    engine = await fleet.engine()
    for number in range(12):
        for _ in range(3):
            await ask(engine, f"group {number}")
    homes = [set(fleet.hosts[3 * number : 3 * number + 3]) for number in range(12)]
    assert all(len(home) == 1 for home in homes)
    assert set.union(*homes) == {"a", "b"}
    await engine.stop()


async def test_prompts_under_way_are_counted_and_the_least_busy_upstream_is_next() -> None:
    may_answer = asyncio.Event()

    async def held(asked: Asked) -> httpx.Response:
        await may_answer.wait()
        return well(asked)

    fleet = ScriptedFleet(a=held, b=held)
    engine = await fleet.engine()
    prompts = [asyncio.create_task(ask(engine, f"group {number}")) for number in range(6)]
    await until(lambda: len(fleet.asked) == 6)
    assert fleet.metrics.outstanding == {"a": 3, "b": 3}
    may_answer.set()
    await asyncio.gather(*prompts)
    assert fleet.metrics.outstanding == {"a": 0, "b": 0}
    await engine.stop()


async def test_a_cancelled_prompt_is_cancelled_upstream_and_tried_nowhere_else() -> None:
    async def never(_: Asked) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    fleet = ScriptedFleet(a=never, b=never)
    engine = await fleet.engine()
    task = asyncio.create_task(ask(engine))
    await until(lambda: fleet.asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (fleet.aborted, len(fleet.asked)) == (1, 1)
    assert set(fleet.metrics.outstanding.values()) == {0}
    await engine.stop()


async def test_one_cancelled_prompt_does_not_take_the_encoding_from_another() -> None:
    fleet = ScriptedFleet(a=well)
    engine = await fleet.engine()
    first, second = (asyncio.create_task(ask(engine)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).text == TEXT
    await engine.stop()


@pytest.mark.parametrize(
    ("models", "up"),
    [
        ({"data": [{"id": "judge"}, {"id": "other"}]}, True),
        ({"data": [{"id": "other"}]}, False),
        ({"data": []}, False),
        ({"models": []}, False),
        ([], False),
        ("no list", False),
    ],
)
async def test_an_upstream_that_does_not_serve_the_model_is_not_up(models: Any, up: bool) -> None:
    fleet = ScriptedFleet(a=well)
    engine = await fleet.engine()
    fleet.models = models
    await fleet.upstreams.check()
    assert engine.alive is up
    await engine.stop()


async def test_a_stopped_engine_has_died_and_leaves_no_check_behind() -> None:
    fleet = ScriptedFleet(a=well)
    engine = await fleet.engine()
    await engine.stop()
    await engine.stop()
    await engine.died()
    assert not engine.alive
    assert fleet.http.is_closed
