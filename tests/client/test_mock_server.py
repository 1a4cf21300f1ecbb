"""The mock that users test against: it answers as the service does and can be told to fail."""

import httpx
import numpy as np
import pytest

from edit_rrm.wire import DecomposeAnswer, ScoreAnswer, ScoreRequest
from edit_rrm_client import (
    AsyncRewardClient,
    InvalidRequestError,
    MockRewardServer,
    OverloadedError,
    Principle,
    RetryPolicy,
    RewardClient,
    ScoringFailedError,
    UnavailableError,
)

IMAGE = np.zeros((2, 2, 3), np.uint8)


def client_of(server: MockRewardServer, **options: object) -> RewardClient:
    http = httpx.Client(transport=server)
    return RewardClient(http_client=http, retries=RetryPolicy(attempts=1), **options)  # type: ignore[arg-type]


def group(server: MockRewardServer, size: int, on_error: str = "none") -> list[float | None]:
    return client_of(server).score_group("x", IMAGE, [IMAGE] * size, on_error=on_error)  # type: ignore[arg-type]


def test_rewards_are_a_constant_a_script_or_a_function() -> None:
    assert group(MockRewardServer(0.25), 2) == [0.25, 0.25]
    scripted = MockRewardServer([0.1, None, 0.0, 1])
    assert [group(scripted, 3), group(scripted, 1)] == [[0.1, None, 0.0], [1.0]]
    lengths = MockRewardServer(lambda request: [len(request.instruction) / 10] * len(request.candidates))
    assert group(lengths, 2) == [0.1, 0.1]


def test_nothing_scored_is_the_services_502() -> None:
    with pytest.raises(ScoringFailedError) as raised:
        group(MockRewardServer(None), 2, "raise")
    assert (raised.value.status, raised.value.code) == (502, "trace_unparseable")


def test_a_script_that_ends_and_a_reward_that_is_none_are_told_plainly() -> None:
    with pytest.raises(RuntimeError, match="script of rewards has ended: 2 were asked for, 1 were left"):
        group(MockRewardServer([0.5]), 2)
    with pytest.raises(RuntimeError, match="must be one per candidate: 2, got 1"):
        group(MockRewardServer(lambda request: [0.5]), 2)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        MockRewardServer(1.5)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        group(MockRewardServer([-0.1]), 1)


def test_answers_are_answers_of_the_wire() -> None:
    server = MockRewardServer([0.7, None])
    client = client_of(server)
    principles = [Principle(id="mine", question="Is it blue?", category="keep")]  # type: ignore[arg-type]
    answer = client.score("x", IMAGE, [IMAGE, IMAGE], principles=principles, samples=2)
    assert ScoreAnswer.model_validate(answer.model_dump()) == answer
    assert (answer.principles, answer.principles_from) == (principles, "request")
    scored = answer.results[0]
    assert scored.status == "ok"
    assert (scored.score, len(scored.samples), scored.verdicts[0].principle) == (7.0, 2, "mine")
    assert isinstance(client.decompose("x", IMAGE), DecomposeAnswer)
    assert client.models().models[0].name == "mock"
    assert client.health().ok
    assert client.wait_until_ready(1.0) < 1.0


@pytest.mark.parametrize("transport", ["multipart", "base64"])
def test_what_arrived_is_kept(transport: str) -> None:
    server = MockRewardServer()
    client_of(server, transport=transport, api_key="k").score("make it blue", b"source\r\n--", [b"edit"])
    (call,) = server.calls
    assert isinstance(call.request, ScoreRequest)
    assert call.request.instruction == "make it blue"
    assert call.headers["authorization"] == "Bearer k"
    sent = {"source": b"source\r\n--", "candidate-0": b"edit"} if transport == "multipart" else {}
    assert call.files == sent


def test_several_sources_arrive_as_parts_of_their_own() -> None:
    server = MockRewardServer()
    client = client_of(server)
    client.score("x", [b"first", b"second"], [b"edit"], source_of_guards=1)
    (call,) = server.calls
    assert isinstance(call.request, ScoreRequest)
    assert call.request.source_of_guards == 1
    assert [call.files[image.part or ""] for image in call.request.all_sources.values()] == [
        b"first",
        b"second",
    ]
    assert client.models().models[0].max_sources == 4


def test_a_request_that_the_service_would_refuse_is_refused() -> None:
    http = httpx.Client(transport=MockRewardServer(), base_url="http://mock")
    unknown = http.post("/v1/score", json={"instruction": "x", "colour": 1})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "invalid_request")
    part = {"part": "nowhere"}
    missing = http.post("/v1/score", json={"instruction": "x", "source": part, "candidates": [part]})
    assert (missing.status_code, missing.json()["detail"]) == (422, "no part is named 'nowhere'")
    assert http.get("/v1/else").status_code == 404


def test_failures_come_in_turn_and_then_scores_again() -> None:
    server = MockRewardServer()
    server.fail(429, times=2, retry_after_s=3.0)
    server.fail(418, "teapot")
    server.disconnect()
    for _ in range(2):
        with pytest.raises(OverloadedError) as full:
            group(server, 1, "raise")
        assert (full.value.code, full.value.retry_after_s) == ("queue_full", 3.0)
    with pytest.raises(InvalidRequestError) as odd:
        group(server, 1, "raise")
    assert (odd.value.status, odd.value.code) == (418, "teapot")
    with pytest.raises(UnavailableError):
        group(server, 1, "raise")
    assert group(server, 1) == [0.5]


async def test_the_asyncio_client_takes_it_too_and_a_lasting_failure_lasts() -> None:
    server = MockRewardServer()
    server.fail(503, "draining", times=None, host="a")
    http = httpx.AsyncClient(transport=server)
    async with AsyncRewardClient(["http://a", "http://b"], http_client=http) as client:
        assert await client.score_group("x", IMAGE, [IMAGE]) == [0.5]
    assert [httpx.URL(call.url).host for call in server.calls] == ["a", "b"]
