"""Both clients against a scripted service: requests, answers, errors, retries, deadlines."""

import asyncio
import base64
import inspect
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from scripted_service import (
    MODELS_JSON,
    PRINCIPLES,
    Driver,
    Script,
    failed,
    ok,
    problem,
    read_parts,
    score_json,
    scored,
    sent_json,
)

import edit_rrm_client
from edit_rrm_client import (
    AsyncRewardClient,
    AuthenticationError,
    CandidateFailed,
    DeadlineExceededError,
    InvalidImageError,
    InvalidRequestError,
    OverloadedError,
    Principle,
    ProtocolError,
    RetryPolicy,
    RewardClient,
    Sampling,
    ScoringFailedError,
    UnavailableError,
    rewards,
)

SOURCE = np.zeros((4, 4, 3), np.uint8)
EDITED = np.full((4, 4, 3), 200, np.uint8)
CALL = ("make it brighter", SOURCE, [EDITED])


def test_a_failed_candidate_is_none_among_the_rewards_and_never_zero(drive: Driver) -> None:
    script = Script(ok(scored(0.62), failed(), scored(0.0)))
    answer = drive(script, "score", "make it brighter", SOURCE, [EDITED, EDITED, EDITED])
    assert rewards(answer) == [0.62, None, 0.0]
    assert isinstance(answer.results[1], CandidateFailed)
    assert answer.results[1].error.code == "trace_unparseable"


def test_multipart_sends_each_image_in_the_part_its_reference_names(drive: Driver) -> None:
    script = Script(ok(scored(0.5), scored(0.5)))
    drive(script, "score", "make it brighter", b"source file", [b"first file", b"second file"])
    parts = read_parts(script.requests[0])
    body = sent_json(script.requests[0])
    assert parts[body["source"]["part"]].get_payload(decode=True) == b"source file"
    sent = [parts[candidate["part"]].get_payload(decode=True) for candidate in body["candidates"]]
    assert sent == [b"first file", b"second file"]


def test_base64_sends_plain_json(drive: Driver) -> None:
    script = Script(ok())
    drive(script, "score", "x", b"source file", [b"first file"], options={"transport": "base64"})
    body = sent_json(script.requests[0])
    assert script.requests[0].headers["content-type"] == "application/json"
    assert base64.b64decode(body["source"]["b64"]) == b"source file"
    assert base64.b64decode(body["candidates"][0]["b64"]) == b"first file"


ONE_SOURCE = (
    '{"instruction":"make it brighter","source":%s,"candidates":[%s],"sampling":{},'
    '"include":[],"deadline_s":300.0,"priority":"training"}'
)


@pytest.mark.parametrize("source", [b"one", [b"one"]], ids=["an image", "a list of one"])
def test_one_source_is_sent_as_ever_byte_for_byte(drive: Driver, source: object) -> None:
    script = Script(ok(), ok())
    drive(script, "score", "make it brighter", source, [b"two"], options={"transport": "base64"})
    drive(script, "score", "make it brighter", source, [b"two"])
    inline, parts = script.requests
    assert inline.content.decode() == ONE_SOURCE % ('{"b64":"b25l"}', '{"b64":"dHdv"}')
    sent = read_parts(parts)["request"].get_payload(decode=True)
    assert isinstance(sent, bytes)
    assert sent.decode() == ONE_SOURCE % ('{"part":"source"}', '{"part":"candidate-0"}')


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_sources_travel_in_order_and_so_does_the_one_of_guards(drive: Driver, kind: type) -> None:
    sources = kind([b"first", b"second", b"third"])
    script = Script(ok(), ok())
    drive(script, "score", "x", sources, [b"edit"], source_of_guards=2)
    drive(script, "score", "x", sources, [b"edit"], source_of_guards=2, options={"transport": "base64"})
    parts, bodies = read_parts(script.requests[0]), [sent_json(request) for request in script.requests]
    named = [parts[source["part"]].get_payload(decode=True) for source in bodies[0]["sources"]]
    inline = [base64.b64decode(source["b64"]) for source in bodies[1]["sources"]]
    assert named == inline == [b"first", b"second", b"third"]
    assert [body["source_of_guards"] for body in bodies] == [2, 2]
    assert not any("source" in body for body in bodies)


def test_an_edit_is_decomposed_with_all_its_sources(drive: Driver) -> None:
    answer = {"id": "r", "model": "tiny@0", "principles": PRINCIPLES, "principles_from": "model"}
    script = Script(httpx.Response(200, json=answer))
    drive(script, "decompose", "x", [b"first", b"second"], options={"transport": "base64"})
    sent = sent_json(script.requests[0])["sources"]
    assert [base64.b64decode(source["b64"]) for source in sent] == [b"first", b"second"]


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ([], {}, "source: expected 1 to 4 images, got 0"),
        ([b"x"] * 5, {}, "source: expected 1 to 4 images, got 5"),
        ([b"x", b""], {}, r"source\[1\]: the image file is empty"),
        ([b"x", b"y"], {"source_of_guards": 2}, "source_of_guards is 2, of 2 sources"),
        (b"x", {"source_of_guards": -1}, "source_of_guards: "),
    ],
    ids=["none", "five", "an empty one", "no such source", "below the first"],
)
def test_sources_that_no_request_has_are_refused_before_anything_is_sent(
    drive: Driver, source: object, options: dict[str, int], words: str
) -> None:
    script = Script()
    with pytest.raises(InvalidRequestError, match=words):
        drive(script, "score", "x", source, [b"edit"], **options)
    assert not script.requests


def test_every_option_reaches_the_service(drive: Driver) -> None:
    script = Script(ok())
    drive(
        script,
        "score",
        *CALL,
        principles=[Principle(**p) for p in PRINCIPLES],
        samples=4,
        sampling=Sampling(temperature=0.7, seed=3),
        aggregator="soft",
        guards="report",
        include=["reasoning"],
        deadline_s=12.5,
        priority="bulk",
    )
    body = sent_json(script.requests[0])
    del body["source"], body["candidates"]
    assert body == {
        "instruction": "make it brighter",
        "principles": PRINCIPLES,
        "samples": 4,
        "sampling": {"temperature": 0.7, "seed": 3},
        "aggregator": "soft",
        "guards": "report",
        "include": ["reasoning"],
        "deadline_s": 12.5,
        "priority": "bulk",
    }


def test_the_key_travels_as_a_bearer_token_and_never_in_a_repr(
    drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDIT_RRM_API_KEY", "from-the-environment")
    script = Script(ok(), ok())
    drive(script, "score", *CALL)
    drive(script, "score", *CALL, options={"api_key": "given"})
    sent = [request.headers["authorization"] for request in script.requests]
    assert sent == ["Bearer from-the-environment", "Bearer given"]
    assert "given" not in repr(RewardClient(api_key="given"))


def test_decompose_and_models_read_their_answers(drive: Driver) -> None:
    answer = {"id": "r", "model": "tiny@0", "principles": PRINCIPLES, "principles_from": "cache"}
    script = Script(httpx.Response(200, json=answer), httpx.Response(200, json=MODELS_JSON))
    assert [p.id for p in drive(script, "decompose", "make it brighter", SOURCE).principles] == ["p1", "p2"]
    assert drive(script, "models").models[0].judges == "Judges shapes and nothing else."
    assert "deadline_s" not in sent_json(script.requests[0])


@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (problem(401, "missing_key"), AuthenticationError),
        (problem(403, "bad_key"), AuthenticationError),
        (problem(413, "body_too_large"), InvalidRequestError),
        (problem(415, "unsupported_image"), InvalidImageError),
        (problem(422, "invalid_request"), InvalidRequestError),
        (problem(422, "broken_image"), InvalidImageError),
        (problem(404, "not_found"), InvalidRequestError),
        (problem(500, "internal"), ScoringFailedError),
        (problem(502, "trace_unparseable"), ScoringFailedError),
        (problem(504, "deadline_exceeded"), DeadlineExceededError),
    ],
)
def test_an_error_that_would_come_again_is_raised_at_once_with_its_particulars(
    drive: Driver, reply: httpx.Response, error_type: type[edit_rrm_client.EditRRMClientError]
) -> None:
    script = Script(reply)
    with pytest.raises(error_type) as raised:
        drive(script, "score", *CALL)
    assert type(raised.value) is error_type
    assert raised.value.status == reply.status_code
    assert raised.value.detail == f"because {raised.value.code}"
    assert raised.value.request_id == "from-the-service"
    assert len(script.requests) == 1


def test_refusals_and_lost_connections_are_tried_again_after_the_wait_they_ask_for(drive: Driver) -> None:
    script = Script(
        problem(429, "queue_full", retry_after="7"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("hung up"),
        problem(408, "body_timeout"),
        ok(),
    )
    assert rewards(drive(script, "score", *CALL)) == [0.62]
    assert script.waits == [7.0, 0.5, 1.0, 2.0]
    assert len({request.headers["x-request-id"] for request in script.requests}) == 1
    keys = {request.headers["idempotency-key"] for request in script.requests}
    assert len(keys) == 1, "the service knows that it is the same call"


def test_attempts_are_bounded_and_the_last_error_says_how_many(drive: Driver) -> None:
    script = Script(*[problem(429, "queue_full") for _ in range(5)])
    with pytest.raises(OverloadedError) as raised:
        drive(script, "score", *CALL, options={"retries": RetryPolicy(attempts=3)})
    assert len(script.requests) == 3
    assert raised.value.__notes__ == ["gave up after 3 attempts"]


def test_the_service_learns_what_is_left_of_the_deadline(drive: Driver) -> None:
    script = Script(4.0, problem(503, "loading", retry_after="5"), ok())
    drive(script, "score", *CALL, options={"timeout_s": 60.0})
    assert [sent_json(request)["deadline_s"] for request in script.requests] == [60.0, 51.0]


def test_a_wait_that_would_pass_the_deadline_is_not_begun(drive: Driver) -> None:
    script = Script(problem(429, "queue_full", retry_after="61"), ok())
    with pytest.raises(OverloadedError) as raised:
        drive(script, "score", *CALL, options={"timeout_s": 60.0})
    assert raised.value.retry_after_s == 61.0
    assert script.waits == []


def test_a_read_timeout_is_the_deadline_unless_attempts_have_their_own(drive: Driver) -> None:
    script = Script(httpx.ReadTimeout("late"))
    with pytest.raises(DeadlineExceededError):
        drive(script, "score", *CALL, options={"timeout_s": 60.0})
    assert script.requests[0].extensions["timeout"] == {
        "connect": 5.0,
        "read": 62.0,
        "write": 62.0,
        "pool": 62.0,
    }

    script = Script(httpx.ReadTimeout("late"), ok())
    drive(script, "score", *CALL, options={"timeout_s": 60.0, "retries": RetryPolicy(attempt_timeout_s=9.0)})
    assert script.requests[0].extensions["timeout"]["read"] == 9.0
    assert sent_json(script.requests[0])["deadline_s"] == 9.0


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (httpx.Response(200, text="<html>hello</html>"), "does not fit"),
        (httpx.Response(200, json=score_json()), "expected 1 results, got 0"),
        (httpx.Response(200, json=score_json(scored(1.5))), r"results\[0\].reward must lie in \[0, 1\]"),
        (httpx.Response(200, json=score_json(scored(0.5, score=-1))), r"results\[0\].score"),
        (httpx.Response(200, json=score_json({**scored(0.5), "reward": None})), "results.0.ok.reward"),
        (httpx.Response(200, content=b'{"id": NaN}'), "does not fit"),
        (httpx.Response(404, json={"detail": "Not Found"}), "is this the address of an edit-rrm service"),
        (httpx.Response(307, headers={"Location": "http://elsewhere/"}), "answered 307"),
    ],
)
def test_what_is_not_this_api_is_a_protocol_error(drive: Driver, reply: httpx.Response, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        drive(Script(reply), "score", *CALL)


def test_a_gateways_own_502_is_unavailability_and_is_tried_again(drive: Driver) -> None:
    script = Script(httpx.Response(502, text="<h1>Bad Gateway</h1>"), ok())
    assert rewards(drive(script, "score", *CALL)) == [0.62]


@pytest.mark.parametrize(
    ("args", "options", "words"),
    [
        (("", SOURCE, [EDITED]), {}, "instruction"),
        (("x", SOURCE, []), {}, "candidates"),
        (("x", SOURCE, [EDITED] * 65), {}, "candidates"),
        (("x", SOURCE, EDITED), {}, "candidates must be a list of images, got ndarray"),
        (("x", SOURCE, b"one file"), {}, "candidates must be a list of images, got bytes"),
        (("x", SOURCE, [EDITED]), {"samples": 0}, "samples"),
        (("x", SOURCE, [EDITED]), {"aggregator": "best"}, "aggregator"),
        (("x", SOURCE, [EDITED]), {"deadline_s": 0.0}, "deadline"),
        (("x", SOURCE, [EDITED]), {"deadline_s": float("nan")}, "deadline"),
    ],
)
def test_a_call_that_cannot_succeed_is_refused_before_it_is_sent(
    drive: Driver, args: tuple, options: dict, words: str
) -> None:
    script = Script()
    with pytest.raises(InvalidRequestError, match=words):
        drive(script, "score", *args, **options)
    assert script.requests == []


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/", "http://", "", "http://[::1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError):
        RewardClient(url)


def test_a_key_with_a_line_break_is_refused_without_being_repeated() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        RewardClient(api_key="secret\n")
    assert "secret" not in str(raised.value)


def test_probes_say_why_not_and_never_try_again(drive: Driver) -> None:
    script = Script(httpx.ConnectError("refused"), problem(503, "engine_dead"), httpx.Response(200, json={}))
    unreachable = drive(script, "health")
    assert (unreachable.ok, unreachable.code) == (False, "unreachable")
    dead = drive(script, "ready")
    assert (dead.ok, dead.code, dead.detail) == (False, "engine_dead", "because engine_dead")
    assert drive(script, "ready").ok
    assert script.waits == []


def test_waiting_ends_when_ready_and_tells_of_every_look(drive: Driver) -> None:
    script = Script(httpx.ConnectError("refused"), problem(503, "loading"), httpx.Response(200, json={}))
    seen: list[tuple[str, float]] = []
    took_s = drive(
        script, "wait_until_ready", 60.0, lambda probe, elapsed_s: seen.append((probe.code, elapsed_s))
    )
    assert took_s == 1.0
    assert seen == [("unreachable", 0.0), ("loading", 0.5), ("ok", 1.0)]


def test_waiting_gives_up_with_the_last_reason(drive: Driver) -> None:
    script = Script(*[problem(503, "loading") for _ in range(10)])
    with pytest.raises(UnavailableError, match=r"not ready after 2 s: because loading") as raised:
        drive(script, "wait_until_ready", 2.0)
    assert raised.value.code == "loading"


def test_waiting_ends_at_once_when_another_service_answers(drive: Driver) -> None:
    with pytest.raises(ProtocolError):
        drive(Script(httpx.Response(404, text="nginx")), "wait_until_ready", 60.0)


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    for name, method in inspect.getmembers(RewardClient, inspect.isfunction):
        if not name.startswith("_"):
            other = getattr(AsyncRewardClient, name)
            assert parameters(method) == parameters(other), name
            assert inspect.iscoroutinefunction(other) == (name != "score_many"), name


def parameters(method: Callable[..., object]) -> list[tuple[str, object, object]]:
    """What a caller can pass. Types are left out: only one of the clients can read an async iterable."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]


async def test_a_cancelled_call_stays_cancelled() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    http = httpx.AsyncClient(transport=httpx.MockTransport(never))
    async with AsyncRewardClient("http://service", http_client=http) as client:
        call = asyncio.create_task(client.models())
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
