"""What is told of JSON before it is parsed: its bounds, fields given twice, exact types at every door."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running_service import Running, Start
from small_calls import BLUE, PRINCIPLES, RED, b64, score_body

from edit_rrm.wire import MAX_INSTRUCTION_CHARS, ScoreRequest
from edit_rrm_server.api.dialects.items import MAX_EDITS
from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.http.json_bounds import BATCH_OF_EDITS, ONE_EDIT, JsonBounds, check_json
from edit_rrm_server.http.json_reading import key_of, read_json

SMALL = JsonBounds(marks=8, quotes=8, outside_bytes=32, depth=3)


def refusal(text: bytes, bounds: JsonBounds = ONE_EDIT) -> tuple[str, str]:
    with pytest.raises(RequestRefusedError) as caught:
        check_json(text, bounds)
    return caught.value.code, caught.value.detail


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": 1, "a": 2}', "a: the field is given twice"),
        (b'{"b": [{"a": 1, "c": {"a": 2}, "a" : 2}]}', "a: the field is given twice"),
        (b'{"a": 1, "\\u0061": 2}', "a: the field is given twice"),
        ('{"é": 1, "\\u00e9": 2}'.encode(), "é: the field is given twice"),
        (b'{"\\"": 1, "\\"": 2}', "the field is given twice"),
        (b'{"' + b"n" * 5000 + b'": 1, "' + b"n" * 5000 + b'": 2}', "n" * 64 + ": the field"),
    ],
)
def test_a_field_given_twice_is_named(text: bytes, words: str) -> None:
    code, detail = refusal(text)
    assert (code, words in detail, len(detail) < 200) == ("invalid_request", True, True)


@pytest.mark.parametrize(
    "text",
    [
        b'[{"a": 1}, {"a": 2}]',
        b'{"a": {"a": {"a": 1}}}',
        b'{"a": "b", "b": "a"}',
        b'{"a": "\\", \\"a\\": ", "b": ":"}',
        b'{"a": "\\\\", "b": "{[,:"}',
        b'{"a\\\\": 1, "a": 2}',
        b'"a": 1, "a": 2',
    ],
)
def test_names_of_other_objects_and_texts_are_no_field_given_twice(text: bytes) -> None:
    check_json(text, ONE_EDIT)


def test_each_bound_is_held() -> None:
    check_json(b'{"a":["",{}]}', SMALL)  # eight marks, depth three
    assert "more than 8 brackets" in refusal(b'{"a":["",{}]},', SMALL)[1]
    assert "more than 8 quotes" in refusal(b'"\\""' * 3, SMALL)[1]
    assert "more than 32 bytes" in refusal(b" " * 20 + b'"' + b"x" * 99 + b'"' + b"1" * 13, SMALL)[1]
    assert refusal(b"[[[[", SMALL) == ("malformed_json", "the JSON is nested deeper than 3")


def test_the_largest_request_of_the_contract_is_within_the_bounds() -> None:
    quotes = '"\\' * (MAX_INSTRUCTION_CHARS // 2)
    body = score_body(
        instruction=quotes,
        candidates=[{"part": "x" * 200}] * 64,
        principles=[{"id": f"{n:>064}", "question": quotes[:1000], "category": "keep"} for n in range(32)],
        sources=[b64(RED)] * 4,
        source=None,
        template_arguments={f"a{n}": "b" for n in range(16)},
        include=["tokens"] * 16,
        sampling={"temperature": 0.0, "top_p": 1.0, "top_k": 1, "seed": 1, "max_tokens": 1},
    )
    for text in (json.dumps(body), json.dumps(body, indent=8)):
        check_json(text.encode(), ONE_EDIT)
        ScoreRequest.model_validate_json(text)


def test_a_batch_of_four_thousand_edits_is_within_the_bounds() -> None:
    turn = {"text": 'make "it" blue', "image_b64": "A" * 100, "type": "image", "role": "user"}
    request = {"history": [turn, turn], "required_rewards": ["edit_rrm"], "metadata": {"a": {"b": [1, 2, 3]}}}
    identity = dict.fromkeys(("request_id", "sample_id", "group_id", "source_rank", "idempotency_key"), "1")
    check_json(json.dumps({"requests": [{**request, **identity}] * 4000}).encode(), BATCH_OF_EDITS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=200)
@given(json_values, st.booleans(), st.booleans())
def test_correct_json_has_no_field_twice_however_it_is_written(
    value: Any, ascii_: bool, indented: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_, indent=1 if indented else None)
    check_json(text.encode("utf-8", "surrogatepass"), ONE_EDIT)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.text(max_size=3), json_values, min_size=1, max_size=4), st.data())
def test_any_field_of_any_object_given_twice_is_found(fields: dict[str, Any], data: st.DataObject) -> None:
    again = data.draw(st.sampled_from(sorted(fields)))
    ascii_ = data.draw(st.booleans())
    inner = json.dumps(fields)[:-1] + ", " + json.dumps(again, ensure_ascii=ascii_) + ": 1}"
    text = ('{"x": [0, ' + inner + "]}").encode("utf-8", "surrogatepass")
    assert refusal(text)[1].endswith("the field is given twice")


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([bytes([byte]) for byte in b'"\\{}[],:a1 \xff'])))
def test_any_bytes_are_passed_over_or_refused(pieces: list[bytes]) -> None:
    with suppress(RequestRefusedError):
        check_json(b"".join(pieces), ONE_EDIT)


WRONG = [
    ("samples", True),
    ("samples", "2"),
    ("deadline_s", "5"),
    ("deadline_s", False),
    ("sampling.temperature", True),
    ("sampling.seed", "1"),
    ("thinking.enabled", 1),
    ("include", ["tokens"] * 17),
    ("principles.0.weight", "1"),
]


def with_field(path: str, value: Any) -> dict[str, Any]:
    """A score request with that value at that path."""
    if path == "principles.0.weight":
        return score_body(principles=[{**PRINCIPLES[0], "weight": value}])
    outer, _, inner = path.partition(".")
    return score_body(**{outer: {inner: value} if inner else value})


async def refused_at_every_door(running: Running, body: bytes) -> list[dict[str, Any]]:
    """The problems of the same JSON as a body, as a part and as a line, and by POST /v1/decompose."""
    json_type = {"content-type": "application/json"}
    plain = await running.http.post("/v1/score", content=body, headers=json_type)
    part = await running.http.post("/v1/score", files={"request": ("r", body, "application/json")})
    stream = await running.http.post(
        "/v1/score/stream",
        content=body + b"\n" + json.dumps(score_body(key="next")).encode(),
        headers={"content-type": "application/x-ndjson"},
    )
    first, second = (
        json.loads(line) for line in sorted(stream.text.splitlines(), key=lambda t: '"next"' in t)
    )
    assert second["results"][0]["reward"] == 0.6
    return [plain.json(), part.json(), first["error"]]


@pytest.mark.parametrize(("path", "value"), WRONG)
async def test_a_wrong_type_is_refused_at_every_door_and_named(
    running: Running, path: str, value: Any
) -> None:
    for problem in await refused_at_every_door(running, json.dumps(with_field(path, value)).encode()):
        assert (problem["status"], problem["code"]) == (422, "invalid_request")
        assert problem["detail"].startswith(f"{path}: ")
    running.assert_idle()


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b'{"samples": 1, "samples": 1}', "invalid_request", "samples: the field is given twice"),
        (b"{" + b",".join(b'"f%d":1' % n for n in range(100_000)) + b"}", "invalid_request", "more than"),
        (b"[" * 100_000, "malformed_json", "nested deeper than 64"),
        (b'{"a":' * 40_000, "malformed_json", "nested deeper than 64"),
        (b'{"' + b"n" * 100_000 + b'": 1}', "invalid_request", "n" * 64 + "…: Extra"),
    ],
    ids=["twice", "100,000 fields", "lists in lists", "objects in objects", "a long name"],
)
async def test_what_is_refused_by_its_form_is_so_at_every_door(
    running: Running, body: bytes, code: str, words: str
) -> None:
    for problem in await refused_at_every_door(running, body):
        assert problem["code"] == code
        assert words in problem["detail"]
        assert len(problem["detail"]) < 1000
    running.assert_idle()


async def test_dialects_take_what_their_clients_send_and_tell_one_fault_of_many(start: Start) -> None:
    running = await start(dialects="flow_factory")
    image = b64(BLUE)["b64"]
    call = {"prompt": ["make it blue"], "image": [image], "condition_images": [[b64(RED)["b64"]]]}
    answer = await running.http.post(
        "/compute", json={**call, "kwargs": {"weight": "1", "on": 1}, "new": True}
    )
    assert answer.json() == {"rewards": [0.6]}
    answer = await running.http.post("/compute", json={**call, "prompt": [1] * 10_000})
    assert answer.json()["error"].count("prompt.") == 1


async def test_a_batch_of_a_trainer_s_has_so_many_edits_at_most(start: Start) -> None:
    running = await start(dialects="flow_factory,unirl")
    count = MAX_EDITS + 1
    call = {"prompt": ["a"] * count, "image": ["a"] * count, "condition_images": [["a"]] * count}
    answer = await running.http.post("/compute", json=call)
    assert answer.json()["error"].endswith(f"expected at most 4096 edits a call, got {count}")
    request = {"history": [], "required_rewards": ["edit_rrm"]}
    answer = await running.http.post("/score", json={"requests": [request] * count})
    assert (answer.status_code, answer.json()["detail"][:10]) == (422, "requests: ")
    assert running.engine.asked == []


async def test_a_key_is_told_of_a_line_that_is_refused_whatever_else_it_holds() -> None:
    assert await key_of(b'{"a": {"key": 1}, "key": "k"}') == "k"
    assert await key_of(b'{"key": 7, "samples": "' + b"x" * 100_000 + b'"}') == 7
    for text in (
        b"",
        b"{",
        b"[1]",
        b'{"key": true}',
        b'{"key": 1.5}',
        b'{"a":' * 100_000,
        b'{"key": "\xff"}',
    ):
        assert await key_of(text) is None


async def test_a_large_text_is_parsed_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others have their turn while it is: counted, not timed."""
    off_loop = 0
    to_thread = asyncio.to_thread

    async def counted(work: Any) -> Any:
        nonlocal off_loop
        off_loop += 1
        return await to_thread(work)

    monkeypatch.setattr(asyncio, "to_thread", counted)
    await read_json(json.dumps(score_body()).encode(), ScoreRequest)
    assert off_loop == 0
    large = score_body(candidates=[{"b64": "A" * 2**17}])
    await read_json(json.dumps(large).encode(), ScoreRequest)
    assert off_loop == 1
