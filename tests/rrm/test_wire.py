"""The HTTP contract: what a request may hold, and that answers stay readable when a server adds to them."""

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from edit_rrm.principles import Category
from edit_rrm.wire import (
    CandidateFailed,
    CandidateScored,
    DecomposeRequest,
    ImageRef,
    Problem,
    ScoreAnswer,
    ScoreRequest,
    StreamRequest,
)
from guide_blocks import blocks_of

IMAGE = {"b64": "aGk="}
REQUEST: dict[str, Any] = {"instruction": "make the red car blue", "source": IMAGE, "candidates": [IMAGE]}
PRINCIPLE = {"id": "p1", "question": "Is the car blue?", "category": "follow"}
ANSWER: dict[str, Any] = {
    "id": "r1",
    "model": "edit-rrm-tiny@0123456789ab",
    "principles": [{**PRINCIPLE, "weight": 1.0}],
    "principles_from": "request",
    "results": [
        {
            "status": "ok",
            "reward": 0.62,
            "score": 6.2,
            "average": 0.8,
            "categories": {"follow": 0.67},
            "verdicts": [
                {"principle": "p1", "met": True, "probability": None, "evidence": "the car is blue"}
            ],
            "guards": [{"name": "no_edit", "triggered": False, "value": 0.31}],
            "samples": [{"score": 6.2, "reward": 0.62}],
            "disagreement": 0.0,
        },
        {"status": "error", "error": {"code": "trace_unparseable", "detail": "no score"}, "reward": None},
    ],
    "usage": {"prompt_tokens": 10, "cached_prompt_tokens": 5, "completion_tokens": 3},
    "timing": {"queue_s": 0.1, "decompose_s": 0.0, "verify_s": 0.5, "total_s": 0.6},
}


def test_the_smallest_request_has_the_documented_defaults() -> None:
    request = ScoreRequest.model_validate(REQUEST)
    assert (request.samples, request.guards, request.priority) == (None, None, "training")
    assert (request.principles, request.aggregator, request.deadline_s, request.include) == (
        None,
        None,
        None,
        [],
    )
    assert request.sampling.model_dump() == {
        "temperature": None,
        "top_p": None,
        "top_k": None,
        "seed": None,
        "max_tokens": None,
    }


def test_the_request_of_the_contract_is_accepted_and_survives_the_wire() -> None:
    request = ScoreRequest.model_validate(
        REQUEST
        | {
            "principles": [PRINCIPLE | {"weight": 2.0}],
            "samples": 4,
            "sampling": {"temperature": 0.0, "top_p": 1.0, "seed": 0, "max_tokens": None},
            "aggregator": "gated",
            "guards": "report",
            "include": ["reasoning", "tokens"],
            "deadline_s": 60.0,
            "priority": "bulk",
        }
    )
    assert ScoreRequest.model_validate_json(request.model_dump_json(exclude_none=True)) == request


@pytest.mark.parametrize(
    "change",
    [
        {"instruction": ""},
        {"instruction": " \n"},
        {"instruction": "x" * 4001},
        {"candidates": []},
        {"candidates": [IMAGE] * 65},
        {"source": {}},
        {"source": {"b64": "aGk=", "part": "a"}},
        {"source": {"url": "http://example.com/a.png"}},
        {"source": {"path": "/etc/passwd"}},
        {"principles": []},
        {"principles": [PRINCIPLE, PRINCIPLE]},
        {"principles": [PRINCIPLE | {"category": "style"}]},
        {"samples": 0},
        {"samples": 33},
        {"sampling": {"temperature": -0.1}},
        {"sampling": {"temperature": float("nan")}},
        {"sampling": {"top_p": 0}},
        {"sampling": {"beams": 2}},
        {"aggregator": "median"},
        {"guards": "on"},
        {"include": ["pixels"]},
        {"deadline_s": 0},
        {"deadline_s": float("inf")},
        {"priority": "urgent"},
        {"reward": 1.0},
        {"include": ["tokens"] * 17},
        {"template_arguments": {"a": float("nan")}},
        *({"samples": value} for value in (True, "2", 2.5)),
        *({"deadline_s": value} for value in (True, "5")),
        *({"sampling": {"temperature": value}} for value in (True, False, "0")),
        *({"sampling": {n: v}} for n in ("top_p", "top_k", "seed", "max_tokens") for v in (True, "1")),
        *({"thinking": {"enabled": value}} for value in (1, 0, "true", "yes")),
        {"thinking": {"enabled": True, "budget_tokens": "8"}},
        *({"source_of_guards": value} for value in (False, "0")),
        *({"principles": [PRINCIPLE | {"weight": value}]} for value in (True, "1")),
    ],
)
def test_a_request_outside_the_contract_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScoreRequest.model_validate(REQUEST | change)


def test_a_number_is_taken_in_every_form_that_json_gives_it() -> None:
    """What honest callers send: 1 where a fraction may stand, and 2.0 of a language that has no integers."""
    request = ScoreRequest.model_validate_json(
        json.dumps(REQUEST | {"samples": 2.0, "deadline_s": 5, "sampling": {"temperature": 1, "top_k": 40.0}})
    )
    assert (request.samples, request.deadline_s) == (2, 5.0)
    assert (request.sampling.temperature, request.sampling.top_k) == (1.0, 40)


@pytest.mark.parametrize("key", [True, 1.5, ["a"], {}])
def test_a_key_is_a_text_or_a_whole_number(key: Any) -> None:
    with pytest.raises(ValidationError):
        StreamRequest.model_validate(REQUEST | {"key": key})


def test_the_limits_themselves_are_allowed() -> None:
    request = ScoreRequest.model_validate(
        REQUEST | {"instruction": "x" * 4000, "candidates": [IMAGE] * 64, "samples": 32}
    )
    assert (len(request.instruction), len(request.candidates), request.samples) == (4000, 64, 32)


def test_a_part_names_an_image_and_decomposition_takes_one() -> None:
    request = DecomposeRequest.model_validate({"instruction": "x", "source": {"part": "a.png"}})
    assert request.source == ImageRef(part="a.png")
    with pytest.raises(ValidationError):
        DecomposeRequest.model_validate({"instruction": "x", "source": IMAGE, "candidates": [IMAGE]})


def test_an_answer_tells_scored_candidates_from_failed_ones() -> None:
    scored, failed = ScoreAnswer.model_validate(ANSWER).results
    assert isinstance(scored, CandidateScored)
    assert isinstance(failed, CandidateFailed)
    assert (scored.reward, scored.categories) == (0.62, {Category.FOLLOW: 0.67})
    assert (failed.reward, failed.error.code) == (None, "trace_unparseable")


def test_a_failure_cannot_carry_a_number() -> None:
    with pytest.raises(ValidationError):
        CandidateFailed.model_validate(ANSWER["results"][1] | {"reward": 0.0})


def test_an_answer_survives_the_wire_and_fields_of_a_newer_server() -> None:
    answer = ScoreAnswer.model_validate(ANSWER)
    assert ScoreAnswer.model_validate_json(answer.model_dump_json()) == answer
    newer = ANSWER | {"region": "eu", "usage": ANSWER["usage"] | {"image_tokens": 7}}
    assert ScoreAnswer.model_validate(newer) == answer


def test_a_problem_holds_what_rfc_9457_and_the_contract_name() -> None:
    fields = {
        "type": "about:blank",
        "title": "Queue full",
        "status": 429,
        "detail": "d",
        "instance": "r1",
        "code": "queue_full",
    }
    assert Problem.model_validate(fields).model_dump() == fields


def test_the_contract_s_page_shows_a_request_and_an_answer() -> None:
    request, answer = (
        re.sub(r"//[^\n]*|, \.\.\.", "", block.code).replace("IMAGE", json.dumps(IMAGE))
        for block in blocks_of("api.md")
        if block.language == "jsonc"
    )
    assert set(json.loads(request)) | {"sources"} == set(ScoreRequest.model_fields)  # it has one source
    ScoreRequest.model_validate_json(request)
    read = ScoreAnswer.model_validate_json(answer.replace('"request" | "cache" | "model"', '"model"'))
    assert [result.status for result in read.results] == ["ok", "error"]
    assert set(json.loads(answer.replace('"request" | "cache" | "model"', '"model"'))) == set(
        ScoreAnswer.model_fields
    )
