"""The OpenAPI document: the committed one is the application's, keeps its promises and names all there is."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_promises import broken_promises
from typer.testing import CliRunner

from edit_rrm_server.api.description import whole_api, written
from edit_rrm_server.http.problems import KINDS
from edit_rrm_server.process.cli import app

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "reference" / "openapi.json"
RECORDED = ROOT / "tests" / "server" / "recorded" / "openapi-1.json"
SEEN = {code: kind for code, kind in KINDS.items() if code != "caller_gone"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return whole_api()


def test_the_committed_document_is_the_application_s(document: dict[str, Any]) -> None:
    assert COMMITTED.read_text(encoding="utf-8") == written(document), (
        "run: edit-rrm-server openapi --out docs/reference/openapi.json"
    )


def test_the_command_writes_it(document: dict[str, Any], tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["openapi"])
    assert (told.exit_code, json.loads(told.output)) == (0, document)
    told = CliRunner().invoke(app, ["openapi", "--output", str(tmp_path / "o.json")])
    assert (told.exit_code, (tmp_path / "o.json").read_text(encoding="utf-8")) == (0, written(document))


def test_what_version_1_promised_is_kept(document: dict[str, Any]) -> None:
    """The recorded document is that of the last release; it is replaced with a release, never to pass."""
    assert broken_promises(json.loads(RECORDED.read_text(encoding="utf-8")), document) == []


SCHEMAS: Callable[[dict[str, Any]], Any] = lambda document: document["components"]["schemas"]  # noqa: E731
CHANGES: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda d: d["paths"].pop("/v1/decompose"), "POST /v1/decompose: removed"),
    (lambda d: d["x-error-codes"].pop("queue_full"), "code queue_full: removed"),
    (lambda d: d["x-error-codes"]["queue_full"].update(status=503), "code queue_full: removed, or"),
    (lambda d: d["paths"]["/v1/score"]["post"]["responses"].pop("504"), "POST /v1/score 504: removed"),
    (
        lambda d: d["paths"]["/v1/score"]["post"]["requestBody"]["content"].pop("multipart/form-data"),
        "POST /v1/score multipart/form-data: removed",
    ),
    (lambda d: SCHEMAS(d)["ScoreRequest"]["required"].append("samples"), "score.samples: now required"),
    (lambda d: SCHEMAS(d)["ScoreRequest"]["properties"].pop("samples"), "POST /v1/score.samples: removed"),
    (lambda d: SCHEMAS(d)["ScoreRequest"]["properties"]["candidates"].update(maxItems=8), "maxItems was 64"),
    (lambda d: SCHEMAS(d)["ScoreRequest"]["properties"]["priority"]["enum"].remove("bulk"), "enum was"),
    (lambda d: SCHEMAS(d)["ImageRef"]["oneOf"].pop(), "source: anyOf"),
    (lambda d: SCHEMAS(d)["Sampling"]["properties"].pop("top_k"), "sampling.top_k: removed"),
    (
        lambda d: SCHEMAS(d)["Sampling"]["properties"]["top_p"].update(anyOf=[{"type": "integer"}]),
        "top_p: anyOf",
    ),
    (lambda d: SCHEMAS(d)["ScoreAnswer"]["properties"].pop("usage"), "POST /v1/score 200.usage: removed"),
    (lambda d: SCHEMAS(d)["CandidateScored"]["required"].remove("reward"), "reward: no longer promised"),
    (
        lambda d: SCHEMAS(d)["CandidateScored"]["properties"].update(reward={"type": "string"}),
        "reward: type was ['number'], is ['string']",
    ),
    (
        lambda d: SCHEMAS(d)["CandidateScored"]["properties"].update(
            reward={"anyOf": [{"type": "number"}, {"type": "null"}]}
        ),
        "reward: type was ['number'], is []",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_a_promise_that_is_broken_is_found(
    document: dict[str, Any], change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    changed = copy.deepcopy(document)
    change(changed)
    found = broken_promises(document, changed)
    assert any(words in line for line in found), found


ADDITIONS: list[Callable[[dict[str, Any]], Any]] = [
    lambda d: None,
    lambda d: d["paths"].update({"/v1/more": {"get": {"responses": {}}}}),
    lambda d: d["x-error-codes"].update(memory_full={"status": 429, "title": "no memory"}),
    lambda d: SCHEMAS(d)["ScoreRequest"]["properties"].update(more={"type": "string"}),
    lambda d: SCHEMAS(d)["ScoreRequest"]["properties"]["candidates"].update(maxItems=128),
    lambda d: SCHEMAS(d)["ScoreRequest"]["properties"]["priority"]["enum"].append("later"),
    lambda d: SCHEMAS(d)["ScoreAnswer"]["properties"].update(more={"type": "string"}),
    lambda d: SCHEMAS(d)["ScoreAnswer"]["required"].append("more"),
]


@pytest.mark.parametrize("addition", ADDITIONS)
def test_an_addition_breaks_no_promise(
    document: dict[str, Any], addition: Callable[[dict[str, Any]], Any]
) -> None:
    changed = copy.deepcopy(document)
    addition(changed)
    assert broken_promises(document, changed) == []


def test_every_code_stands_at_the_routes_that_give_it_and_in_the_guide(document: dict[str, Any]) -> None:
    at_routes: dict[str, set[int]] = {}
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                content = answer.get("content", {}).get("application/problem+json")
                if content is None:
                    continue
                own = content["schema"]["allOf"][1]["properties"]
                assert own["status"] == {"const": int(status)}
                for code in own["code"]["enum"]:
                    at_routes.setdefault(code, set()).add(int(status))
    anywhere = {"not_found", "method_not_allowed"}
    assert at_routes == {code: {kind.status} for code, kind in SEEN.items() if code not in anywhere}
    assert document["x-error-codes"] == {code: kind._asdict() for code, kind in SEEN.items()}

    guide = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d /]+) \| (`.*?) \|", guide, re.M)
    named = {
        code: {int(status) for status in statuses.split("/")}
        for statuses, codes in rows
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert named.keys() == SEEN.keys()
    assert [code for code, statuses in named.items() if SEEN[code].status not in statuses] == []


def test_every_operation_says_who_may_call_it_and_every_answer_its_id(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert {name for each in operation["security"] for name in each} <= schemes.keys()
            is_open = path in ("/health", "/ready")
            assert (operation["security"] == []) == is_open, path
            for answer in operation["responses"].values():
                assert "X-Request-ID" in answer["headers"]
    assert document["paths"]["/v1/admin/reload"]["post"]["security"] == [{"adminKey": []}]


def test_references_lead_somewhere_and_nothing_is_left_over(document: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == document["components"]["schemas"].keys()


def test_an_image_is_bytes_or_a_part_and_a_stream_is_lines(document: dict[str, Any]) -> None:
    image = document["components"]["schemas"]["ImageRef"]
    assert [branch["required"] for branch in image["oneOf"]] == [["b64"], ["part"]]
    stream = document["paths"]["/v1/score/stream"]["post"]
    assert list(stream["requestBody"]["content"]) == ["application/x-ndjson"]
    assert list(stream["responses"]["200"]["content"]) == ["application/x-ndjson"]
    assert "one line" in stream["description"]
