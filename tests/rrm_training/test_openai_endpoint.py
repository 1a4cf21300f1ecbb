"""The endpoint path for real: an OpenAI-compatible server on this machine that is slow, busy and confused."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai_test_server import (
    BAD_TEXT,
    BUSY,
    DOWN,
    GARBLED,
    HANG,
    IN_PAIRS,
    NO_CHOICE,
    NO_TEXT,
    REFUSED,
    OpenAITestServer,
)

from edit_rrm.judges import get_profile
from edit_rrm.prompts import ImageSlot
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.endpoints.endpoint import ChatAnswer, ChatRequest, Meter, ask
from edit_rrm_training.endpoints.http_calls import Patience
from edit_rrm_training.endpoints.openai import OpenAIEndpoint, OpenAISettings
from edit_rrm_training.endpoints.usage import Usage
from edit_rrm_training.errors import AnswerError, EndpointError, StepError

SOURCE = ShapesRef(51, 0)
PROFILE = get_profile("trained")


@contextmanager
def served(*faults: str) -> Iterator[OpenAITestServer]:
    with OpenAITestServer([SOURCE], faults) as server:
        yield server


def request(seed: int = 3) -> ChatRequest:
    instruction = SOURCE.edit().request.instruction
    prompt = PROFILE.decompose(instruction, seed=0)
    return ChatRequest(prompt, {ImageSlot.SOURCE: str(SOURCE)}, Path(), 0.7, seed, 300)


class Waits:
    """Stands in for sleeping: remembers how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def endpoint(server: OpenAITestServer, waits: Waits | None = None, **settings: Any) -> OpenAIEndpoint:
    made = OpenAIEndpoint(
        "teacher",
        OpenAISettings(base_url=server.url, model="decomposer", price_per_million_prompt_tokens=2.0,
                       price_per_million_completion_tokens=10.0, **settings),
    )  # fmt: skip
    made._caller._sleep = waits or Waits()
    made._caller._dice = lambda: 0.5
    return made


async def complete(made: OpenAIEndpoint) -> ChatAnswer:
    try:
        return await made.complete(request())
    finally:
        await made.close()


async def test_prompt_and_pictures_arrive_and_the_cost_is_counted() -> None:
    with served() as server:
        answer = await complete(endpoint(server))
    assert PROFILE.parse_principles(answer.text)
    # 1000 · 2 / 10⁶ + 100 · 10 / 10⁶
    assert answer.usage.cost == pytest.approx(0.003)
    assert (answer.usage.requests, answer.usage.prompt_tokens, answer.usage.completion_tokens) == (
        1,
        1000,
        100,
    )
    (body,) = server.requests
    assert (body["model"], body["seed"], body["max_tokens"]) == ("decomposer", 3, 300)
    assert [part["type"] for part in body["messages"][1]["content"]] == ["image_url", "text"]


async def test_busy_and_garbled_answers_are_tried_again_and_retry_after_is_honoured() -> None:
    waits = Waits()
    with served(BUSY, DOWN, GARBLED, NO_CHOICE) as server:
        await complete(endpoint(server, waits))
        assert server.statuses == [429, 503, 200, 200, 200]
    # Retry-After 7 plus a quarter of the 1 s ceiling; then 3/4 of the ceilings 2, 4 and 8 s.
    assert waits.seconds == pytest.approx([7.25, 1.5, 3.0, 6.0])


async def test_a_server_that_hangs_is_given_up_after_the_time_out() -> None:
    with served(HANG, HANG) as server, pytest.raises(EndpointError, match=r"within 0\.2 s") as caught:
        await complete(endpoint(server, timeout_s=0.2, attempts=2))
    assert (caught.value.kind, caught.value.attempts) == ("timeout", 2)


async def test_a_refusal_that_time_does_not_change_is_not_repeated() -> None:
    with served(REFUSED) as server:
        with pytest.raises(EndpointError, match="who are you") as caught:
            await complete(endpoint(server))
        assert len(server.requests) == 1
    assert caught.value.kind == "refused"


async def test_nobody_there_is_unreachable() -> None:
    with served() as server:
        gone = endpoint(server, attempts=2)
    with pytest.raises(EndpointError) as caught:
        await complete(gone)
    assert caught.value.kind == "unreachable"


async def test_as_many_requests_are_under_way_as_allowed_and_no_more() -> None:
    with served(*[IN_PAIRS] * 6) as server:  # alone, a request would wait for ever
        made = endpoint(server, concurrency=2, timeout_s=20, attempts=1)
        answers = await asyncio.gather(*(made.complete(request(n)) for n in range(6)))
        await made.close()
        assert len(answers) == 6
        assert server.most_under_way == 2


async def test_a_text_that_cannot_be_used_is_drawn_again_with_another_seed_and_paid_for() -> None:
    meter = Meter()
    with served(BAD_TEXT) as server:
        made = endpoint(server)
        principles = await ask(made, request(), PROFILE.parse_principles, 2, meter)
        await made.close()
        assert server.requests[0]["seed"] != server.requests[1]["seed"]
    assert principles
    assert meter.usage.requests == 2


async def test_an_answer_without_a_text_is_paid_for_and_drawn_again() -> None:
    meter = Meter()
    with served(NO_TEXT) as server:
        made = endpoint(server)
        assert await ask(made, request(), PROFILE.parse_principles, 2, meter)
        await made.close()
    assert (meter.usage.requests, meter.usage.completion_tokens) == (2, 2048 + 100)


async def test_after_the_last_draw_the_text_is_kept_with_the_error() -> None:
    with served(BAD_TEXT, BAD_TEXT) as server:
        made = endpoint(server)
        with pytest.raises(AnswerError, match="2 draws") as caught:
            await ask(made, request(), PROFILE.parse_principles, 2, Meter())
        await made.close()
    assert caught.value.text == "I would rather not."


async def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "s3cret")
    with served() as server:
        await complete(endpoint(server, api_key_env="TEACHER_KEY"))
        assert server.keys == ["Bearer s3cret"]
        monkeypatch.delenv("TEACHER_KEY")
        with pytest.raises(StepError, match="TEACHER_KEY"):
            endpoint(server, api_key_env="TEACHER_KEY")


def test_back_off_doubles_up_to_its_limit_and_is_spread_by_the_dice() -> None:
    patience = Patience(initial_back_off_s=1.0, max_back_off_s=8.0)
    assert [patience.back_off_s(n, None, 0.0) for n in (1, 2, 3, 4, 50)] == [0.5, 1.0, 2.0, 4.0, 4.0]
    assert patience.back_off_s(3, None, 0.999) == pytest.approx(4.0, abs=0.01)
    assert patience.back_off_s(1, 30.0, 0.0) == 30.0


def test_usage_adds_up() -> None:
    one = Usage(requests=1, prompt_tokens=2, completion_tokens=3, cost=0.5)
    assert one + one == Usage(requests=2, prompt_tokens=4, completion_tokens=6, cost=1.0)
