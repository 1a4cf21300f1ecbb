"""Requests made from the API's own OpenAPI document, right and wrong ones, and what answers break of it.

Schemathesis makes them, from a seed, and holds each answer against the document: status, media type, headers,
body. Beside that: a stream's lines are looked at one by one, and no error may be without its request id.
"""

import base64
import io
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis import APIOperation, Case, GenerationMode, SerializationContext
from schemathesis.checks import CheckFunction, load_all_checks, not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]

STREAM = "application/x-ndjson"
LONGEST_S = 5.0
"""Deadline of the requests that name one: the document allows an hour."""


@dataclass(frozen=True)
class Outcome:
    """One request's. `code` is that of an error, or of a stream's first line; `faults` break the document."""

    operation: str
    right: bool
    status: int
    code: str
    faults: tuple[str, ...]


def operations(document: dict[str, Any]) -> list[Operation]:
    """Those of the document that any caller may call."""
    schema = schemathesis.openapi.from_dict(document)
    found: list[Operation] = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return [operation for operation in found if not operation.path.startswith("/v1/admin/")]


def send_cases(
    operation: Operation,
    url: str,
    count: int,
    number: int,
    tell: Callable[[Outcome], None],
    *,
    right: bool,
) -> None:
    """Sends up to `count` requests that the schema allows (`right`) or forbids, drawn by a seed."""
    if not operation.body:
        if right:
            tell(_sent(operation.Case(), url, right))
        return
    mode = GenerationMode.POSITIVE if right else GenerationMode.NEGATIVE
    cases = operation.as_strategy(generation_mode=mode)
    if right:
        cases = st.tuples(cases, st.integers(0, 3), st.sampled_from(FILES)).map(_made_whole)

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def run(case: AnyCase) -> None:
        tell(_sent(case, url, right))

    run()


def _sent(case: AnyCase, url: str, right: bool) -> Outcome:
    return outcome_of(case, case.call(base_url=url), right)


def outcome_of(case: AnyCase, answer: Any, right: bool) -> Outcome:
    """What an answer is by the document; `right` where the schema allows the request."""
    faults = list(_broken_rules(case, answer))
    code = "ok"
    if answer.status_code >= 400:
        problem = answer.json()
        code = str(problem.get("code"))
        if [problem.get("instance")] != answer.headers.get("x-request-id"):
            faults.append("the instance is not the request's id")
    elif case.operation.path == "/v1/score/stream":
        lines = [json.loads(line) for line in answer.content.split(b"\n") if line]
        codes = [_line_code(case.operation, line, right, faults) for line in lines]
        code = codes[0] if codes else "no line"
    elif case.operation.path == "/compute" and not right and answer.json().get("rewards"):
        faults.append("rewards for a request that the schema forbids")
    return Outcome(case.operation.label, right, answer.status_code, code, tuple(faults))


def _broken_rules(case: AnyCase, answer: Any) -> Iterator[str]:
    """Of the document, which has errors of 500 and more too. Some rules no schema can say, so a right request
    may be refused; `_sent` judges the wrong ones of routes that answer 200 with an error."""
    excluded: list[CheckFunction] = [positive_data_acceptance, not_a_server_error]
    if case.operation.path in ("/v1/score/stream", "/compute"):
        excluded.append(negative_data_rejection)
    try:
        case.validate_response(answer, excluded_checks=excluded)
    except FailureGroup as group:
        yield from (_words(failure) for failure in group.exceptions)
    except Failure as failure:
        yield _words(failure)


def _words(failure: Failure) -> str:
    return f"{type(failure).__name__}: {failure.message or failure.title}"[:400]


def _line_code(operation: Operation, line: Any, right: bool, faults: list[str]) -> str:
    document = operation.schema.raw_schema
    alternatives = document["paths"]["/v1/score/stream"]["post"]["responses"]["200"]["content"][STREAM][
        "schema"
    ]
    validator = jsonschema_rs.validator_for({**alternatives, "components": document["components"]})
    faults.extend(f"a line: {error.message}"[:400] for error in validator.iter_errors(line))
    if "error" not in line:
        if not right:
            faults.append("a line that the schema forbids has a score")
        return "ok"
    return str(line["error"]["code"])


def _made_whole(drawn: tuple[AnyCase, int, str]) -> AnyCase:
    """Three of four requests for images that are there and a model that is served: the rest of a request is
    looked at only then. None has longer than `LONGEST_S`."""
    case, share, file = drawn
    body: Any = case.body
    request = body.get("request", body) if isinstance(body, dict) else None
    if not isinstance(request, dict):
        return case
    bounded(case)
    if share and ("source" in request or "sources" in request):
        whole(request, file)
        if request is not body:
            case.body = {"request": request}
    return case


def bounded(case: AnyCase) -> None:
    """Has a request that names a deadline name none longer than `LONGEST_S`."""
    body: Any = case.body
    request = body.get("request", body) if isinstance(body, dict) else None
    if isinstance(request, dict) and isinstance(request.get("deadline_s"), int | float):
        request["deadline_s"] = min(request["deadline_s"], LONGEST_S)


def whole(request: dict[str, Any], file: str, kept: Collection[str] = ()) -> None:
    """Puts images that are there into a request, and nothing of another service; fields `kept` stay."""
    for name in {"model", "thinking"}.difference(kept):
        request.pop(name, None)
    image = {"b64": file}
    if request.get("source") is not None and "source" not in kept:
        request["source"] = image
    if request.get("sources") is not None:
        request["sources"] = [image]
    if "candidates" in request:
        files = FILES[: len(request["candidates"])]
        request.update(candidates=[{"b64": each} for each in files], source_of_guards=0, samples=1)
    for number, principle in enumerate(() if "principles" in kept else request.get("principles") or ()):
        principle["id"] = f"p{number}"


def _file(colour: str, format_: str) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (48, 48), colour).save(buffer, format_)
    return base64.b64encode(buffer.getvalue()).decode()


FILES = [_file(colour, format_) for colour in ("red", "blue") for format_ in ("PNG", "JPEG", "WEBP")]
_BROKEN = [FILES[0][:40], "R0lGODlhAQABAAAAACw=", "data:image/png;base64,AAAA"]


@schemathesis.serializer(STREAM)
def _line(context: SerializationContext, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


schemathesis.openapi.format("byte", st.sampled_from([*FILES, *_BROKEN]) | st.text(min_size=1, max_size=20))
load_all_checks()
