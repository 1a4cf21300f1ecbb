"""Every error of the API as application/problem+json (RFC 9457): a table of codes, one way to answer."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from starlette.responses import JSONResponse

from edit_rrm.errors import EditRRMError
from edit_rrm.wire import Problem
from edit_rrm_server.errors import RequestRefusedError, ServiceError

MEDIA_TYPE = "application/problem+json"
CALLER_GONE_STATUS = 499
_SHOWN_FIELDS = 5
_SHOWN_CHARS = 64
_UNAVAILABLE_RETRY_S = 5.0


class Kind(NamedTuple):
    """What a code means to HTTP and to people."""

    status: int
    title: str


KINDS: dict[str, Kind] = {
    "bad_http": Kind(400, "The request is not HTTP"),
    "malformed_json": Kind(400, "The body is not JSON"),
    "malformed_multipart": Kind(400, "The body is not multipart/form-data as expected"),
    "missing_key": Kind(401, "An API key is needed"),
    "bad_key": Kind(403, "The API key is not accepted"),
    "not_found": Kind(404, "There is nothing at this address"),
    "unknown_model": Kind(404, "No model of that name is served"),
    "method_not_allowed": Kind(405, "The address does not take this method"),
    "header_timeout": Kind(408, "The headers took too long to arrive"),
    "body_timeout": Kind(408, "The body took too long to arrive"),
    "reload_running": Kind(409, "The weights are being replaced already"),
    "image_too_large": Kind(413, "An image has too many bytes"),
    "too_many_pixels": Kind(413, "An image has too many pixels"),
    "body_too_large": Kind(413, "The body is too large"),
    "unsupported_image": Kind(415, "An image is not a still PNG, JPEG or WebP"),
    "unsupported_media_type": Kind(415, "The content type is not accepted"),
    "invalid_request": Kind(422, "A field is wrong"),
    "broken_image": Kind(422, "An image does not decode"),
    "image_shape": Kind(422, "An image is too small or too thin to be judged"),
    "memory_full": Kind(429, "Too much is held in memory"),
    "queue_full": Kind(429, "The queue is full"),
    "rate_limited": Kind(429, "Too many calls"),
    "headers_too_large": Kind(431, "The headers have too many bytes"),
    "caller_gone": Kind(CALLER_GONE_STATUS, "The caller went away"),
    "internal": Kind(500, "The service has a defect"),
    "decomposition_failed": Kind(502, "The model named no usable principles"),
    "decomposition_truncated": Kind(502, "The model's principles did not fit their budget of tokens"),
    "trace_unparseable": Kind(502, "The model wrote no usable trace"),
    "trace_truncated": Kind(502, "The model's text did not fit its budget of tokens"),
    "engine_failed": Kind(502, "The engine did not finish"),
    "quarantined": Kind(502, "The engine has died of this before"),
    "reload_failed": Kind(502, "The weights were not replaced"),
    "too_many_connections": Kind(503, "Every connection is taken"),
    "loading": Kind(503, "The model is being loaded"),
    "draining": Kind(503, "The service is shutting down"),
    "engine_dead": Kind(503, "The engine has died"),
    "deadline_exceeded": Kind(504, "The deadline passed"),
}


def problem(code: str, detail: str, request_id: str) -> Problem:
    """The error as RFC 9457 puts it."""
    kind = KINDS[code]
    return Problem(
        type=f"urn:edit-rrm:problem:{code}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=request_id,
        code=code,
    )


def problem_response(
    code: str, detail: str, request_id: str, retry_after_s: float | None = None
) -> JSONResponse:
    """The answer for one error; Retry-After is whole seconds, rounded up, at least 1."""
    kind = KINDS[code]
    if retry_after_s is None and kind.status in (429, 503):
        retry_after_s = _UNAVAILABLE_RETRY_S
    headers = {} if retry_after_s is None else {"Retry-After": str(max(1, math.ceil(retry_after_s)))}
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if kind.status == 408:
        headers["Connection"] = "close"  # else the rest of the body would go on holding it
    return JSONResponse(
        problem(code, detail, request_id).model_dump(), kind.status, headers=headers, media_type=MEDIA_TYPE
    )


def problem_for(error: ServiceError | EditRRMError, request_id: str) -> JSONResponse:
    """The answer for a typed error."""
    retry_after_s = error.retry_after_s if isinstance(error, ServiceError) else None
    return problem_response(error.code, str(error), request_id, retry_after_s)


def refusal_of(error: ValidationError) -> RequestRefusedError:
    """malformed_json or invalid_request from what pydantic found; values of the caller's are not repeated."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if any(item["type"] == "json_invalid" for item in found):
        return RequestRefusedError("malformed_json", "; ".join(item["msg"] for item in found))
    shown = [f"{_path(item['loc'])}: {item['msg']}" for item in found[:_SHOWN_FIELDS]]
    if len(found) > _SHOWN_FIELDS:
        shown.append(f"and {len(found) - _SHOWN_FIELDS} more")
    return RequestRefusedError("invalid_request", "; ".join(shown))


def shortened(name: str) -> str:
    """A name of the caller's as an answer repeats it."""
    return name if len(name) <= _SHOWN_CHARS else name[:_SHOWN_CHARS] + "…"


def _path(location: Sequence[Any]) -> str:
    """`candidates.3.b64`, as the field would be reached in JSON; the whole body is `request`."""
    return ".".join(shortened(str(step)) for step in location) or "request"
