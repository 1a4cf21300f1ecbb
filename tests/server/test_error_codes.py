"""Each code of the API from the real application as application/problem+json; then nothing is queued."""

import asyncio
import json
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from running_service import Running, Start, until
from scripted_engine import ScriptedEngine
from small_calls import BLUE, PRINCIPLES, RED, b64, picture, png, score_body


def assert_problem(response: httpx.Response, status: int, code: str, detail: str = "") -> None:
    problem = response.json()
    assert (response.status_code, problem["code"], problem["status"]) == (status, code, status)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["instance"] == response.headers["X-Request-ID"]
    assert set(problem) == {"type", "title", "status", "detail", "instance", "code"}
    assert detail in problem["detail"]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return len(data).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")


# A few bytes that claim 2.5 gigapixels.
HUGE = b"\x89PNG\r\n\x1a\n" + b"".join(
    (
        png_chunk(b"IHDR", (50_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"),
        png_chunk(b"IDAT", zlib.compress(b"\x00" * 1000)),
        png_chunk(b"IEND", b""),
    )
)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (BLUE[:-30], 422, "broken_image"),
        (BLUE[:33], 422, "broken_image"),
        (b"\xff\xd8\xff" + b"\x00" * 200, 422, "broken_image"),
        (b"GIF89a" + b"\x00" * 50, 415, "unsupported_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported_image"),
        (HUGE, 413, "too_many_pixels"),
        (png(picture(size=(96, 96))) + b"\x00" * 3000, 413, "image_too_large"),
    ],
    ids=["truncated", "header only", "false jpeg", "gif", "svg", "few bytes, many pixels", "too many bytes"],
)
async def test_hostile_images(start: Start, data: bytes, status: int, code: str) -> None:
    running = await start(max_image_bytes=3000, max_image_pixels=10_000_000)
    for fields in (
        {"source": b64(data)},
        {"candidates": [b64(data)]},
        {"candidates": [b64(data), b64(data)]},
    ):
        response = await running.score(**fields)
        assert_problem(response, status, code)
    assert running.engine.asked == []
    running.assert_idle()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"candidates": []}, "candidates: "),
        ({"candidates": [b64(BLUE)] * 65}, "candidates: "),
        ({"colour": "blue"}, "colour: "),
        ({"instruction": ""}, "instruction: "),
        ({"instruction": "x" * 4001}, "instruction: "),
        ({"instruction": None}, "instruction: "),
        ({"samples": 33}, "samples: "),
        ({"samples": "many"}, "samples: "),
        ({"sampling": {"temperature": -1}}, "sampling.temperature: "),
        ({"sampling": {"top_k": 0}}, "sampling.top_k: "),
        ({"sampling": {"min_p": 0.1}}, "sampling.min_p: "),
        ({"sources": [b64(RED)]}, "exactly one of 'source' and 'sources'"),
        ({"thinking": {"budget_tokens": 5}}, "thinking.enabled: "),
        ({"principles": [{"id": "p", "category": "keep"}]}, "principles.0.question: "),
        ({"principles": [{**PRINCIPLES[0], "category": "beauty"}]}, "principles.0.category: "),
        ({"principles": [PRINCIPLES[0], PRINCIPLES[0]]}, "unique"),
        ({"source": {"url": "http://example.com/a.png"}}, "source"),
        ({"source": {}}, "source"),
        ({"source": {"b64": "not base64!"}}, "source: is not base64"),
        ({"candidates": [b64(BLUE), {"b64": "%%%%"}]}, "candidates.1: is not base64"),
        ({"source": {"part": "absent"}}, "source.part: no part is named 'absent'"),
        ({"deadline_s": 0}, "deadline_s: "),
        ({"priority": "urgent"}, "priority: "),
        ({"aggregator": "max"}, "aggregator: "),
        ({"include": ["weights"]}, "include.0: "),
    ],
)
async def test_a_wrong_field_is_named(running: Running, fields: dict[str, Any], path: str) -> None:
    assert_problem(await running.score(**fields), 422, "invalid_request", path)
    running.assert_idle()


async def test_the_callers_values_are_not_repeated(running: Running) -> None:
    response = await running.score(samples="a secret of the caller's")
    assert "secret" not in response.text


@pytest.mark.parametrize("body", [b"", b"{", b'{"instruction": "x",}', b"\xff\xfe{}", b"nul"])
async def test_malformed_json(running: Running, body: bytes) -> None:
    response = await running.http.post(
        "/v1/score", content=body, headers={"content-type": "application/json"}
    )
    assert_problem(response, 400, "malformed_json")


async def test_deep_json_is_refused_not_crashed_on(running: Running) -> None:
    body = b'{"a":' * 50_000
    response = await running.http.post(
        "/v1/score", content=body, headers={"content-type": "application/json"}
    )
    assert_problem(response, 400, "malformed_json")


def multipart(*parts: tuple[str, bytes], end: bytes = b"--X--\r\n") -> bytes:
    written = b"".join(
        b'--X\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), data)
        for name, data in parts
    )
    return written + end


REQUEST = json.dumps(score_body(source={"part": "s"}, candidates=[{"part": "c"}])).encode()


@pytest.mark.parametrize(
    ("body", "content_type", "detail"),
    [
        (multipart(("request", REQUEST)), "multipart/form-data", "boundary"),
        (
            multipart(("request", REQUEST)),
            "multipart/form-data; boundary=X" + ";a=b" * 9000,
            "more than 1000",
        ),
        (b"nothing of the kind", "multipart/form-data; boundary=X", ""),
        (b"", "multipart/form-data; boundary=X", ""),
        (multipart(("request", REQUEST), end=b""), "multipart/form-data; boundary=X", "last boundary"),
        (multipart(("s", RED), ("c", BLUE)), "multipart/form-data; boundary=X", "no part named 'request'"),
        (
            multipart(("request", REQUEST), ("s", RED), ("s", BLUE)),
            "multipart/form-data; boundary=X",
            "two parts",
        ),
        (multipart(("", RED)), "multipart/form-data; boundary=X", "no name"),
    ],
)
async def test_malformed_multipart(running: Running, body: bytes, content_type: str, detail: str) -> None:
    response = await running.http.post("/v1/score", content=body, headers={"content-type": content_type})
    assert_problem(response, 400, "malformed_multipart", detail)
    running.assert_idle()


async def test_a_part_that_did_not_come_or_that_nobody_names(running: Running) -> None:
    headers = {"content-type": "multipart/form-data; boundary=X"}
    missing = multipart(("request", REQUEST), ("s", RED))
    response = await running.http.post("/v1/score", content=missing, headers=headers)
    assert_problem(response, 422, "invalid_request", "candidates.0.part: no part is named 'c'")
    surplus = multipart(("request", REQUEST), ("s", RED), ("c", BLUE), ("d", BLUE))
    response = await running.http.post("/v1/score", content=surplus, headers=headers)
    assert_problem(response, 422, "invalid_request", "'d'")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "image/png", ""])
async def test_another_content_type(running: Running, content_type: str) -> None:
    response = await running.http.post("/v1/score", content=b"{}", headers={"content-type": content_type})
    assert_problem(response, 415, "unsupported_media_type")


async def test_a_body_that_says_it_is_too_large_is_refused_unread(start: Start) -> None:
    running = await start(max_body_bytes=5000)
    response = await running.score(candidates=[b64(b"x" * 9000)])
    assert_problem(response, 413, "body_too_large")


async def test_a_body_that_grows_too_large_is_refused_while_reading(start: Start) -> None:
    running = await start(max_body_bytes=5000)
    taken = []

    def endless() -> Iterator[bytes]:
        for i in range(100):
            taken.append(i)
            yield b" " * 1000

    async def chunks() -> Any:
        for chunk in endless():
            yield chunk

    for content_type in ("application/json", "multipart/form-data; boundary=X"):
        taken.clear()
        response = await running.http.post(
            "/v1/score", content=chunks(), headers={"content-type": content_type}
        )
        assert response.json()["code"] in ("body_too_large", "malformed_multipart")
        assert len(taken) < 10


class TestKeys:
    async def test_missing_wrong_and_right(self, start: Start) -> None:
        running = await start(api_keys="first, second")
        assert_problem(await running.score(), 401, "missing_key")
        for header in ("Basic first", "Bearer", "Bearer "):
            response = await running.http.get("/v1/models", headers={"Authorization": header})
            assert_problem(response, 401, "missing_key")
        response = await running.http.get("/v1/models", headers={"Authorization": "Bearer third"})
        assert_problem(response, 403, "bad_key")
        for key in ("first", "second"):
            response = await running.http.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
            assert response.status_code == 200

    async def test_probes_need_none(self, start: Start) -> None:
        running = await start(api_keys="first")
        for path in ("/health", "/ready", "/metrics"):
            assert (await running.http.get(path)).status_code == 200


async def test_unknown_route_and_method(running: Running) -> None:
    assert_problem(await running.http.get("/v2/score"), 404, "not_found")
    response = await running.http.get("/v1/score")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


async def test_queue_full_before_any_image_is_decoded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    running = await start(queue_capacity=4, window=1)
    running.engine.gate = asyncio.Event()
    waiting = asyncio.create_task(running.score(candidates=[b64(BLUE)] * 5, guards="off"))
    await until(lambda: running.engine.running > 0)

    async def no_decoding(*_: Any) -> Any:
        pytest.fail("an image was decoded for a call that has no room")

    with monkeypatch.context() as patched:
        patched.setattr(running.service.intake, "decode", no_decoding)
        response = await running.score()
    assert_problem(response, 429, "queue_full")
    assert int(response.headers["Retry-After"]) >= 1
    running.engine.gate.set()
    assert (await waiting).status_code == 200
    running.assert_idle()


async def test_deadline_exceeded_cancels_the_work(start: Start) -> None:
    running = await start(window=2)
    running.engine.gate = asyncio.Event()
    response = await running.score(candidates=[b64(BLUE)] * 4, guards="off", deadline_s=0.3)
    assert_problem(response, 504, "deadline_exceeded")
    assert running.engine.aborted == 2
    running.assert_idle()


async def test_a_dead_engine(running: Running) -> None:
    running.engine.gate = asyncio.Event()
    call = asyncio.create_task(running.score())
    await until(lambda: running.engine.running > 0)
    running.engine.alive = False
    running.engine.gate.set()
    for response in (await call, await running.score(), await running.http.get("/ready")):
        assert_problem(response, 503, "engine_dead")
        assert int(response.headers["Retry-After"]) >= 1
    assert (await running.http.get("/health")).status_code == 200


async def test_every_candidate_unparseable(start: Start) -> None:
    running = await start(ScriptedEngine(lambda _: "<score>10</score>"), retries=2)
    assert_problem(await running.score(), 502, "trace_unparseable")
    assert len(running.engine.asked) == 3
    running.assert_idle()


async def test_different_failures_are_answered_each(start: Start) -> None:
    running = await start(ScriptedEngine(lambda _: "nonsense"))
    answer = await running.score(candidates=[b64(BLUE), b64(b"GIF89a")])
    assert answer.status_code == 200
    codes = [result["error"]["code"] for result in answer.json()["results"]]
    assert codes == ["trace_unparseable", "unsupported_image"]


async def test_a_defect_is_answered_without_its_traceback(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    def defective(_: Any) -> str:
        raise KeyError("the caller's instruction")

    running = await start(ScriptedEngine(defective))
    response = await running.score()
    assert_problem(response, 500, "internal")
    assert "Traceback" not in response.text
    assert "KeyError" not in response.text
    assert "the caller's instruction" not in caplog.text
    running.assert_idle()
