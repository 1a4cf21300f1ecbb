"""Responses as values or typed errors. The status decides the error's class, the body its words."""

from collections.abc import Mapping

import httpx
from pydantic import ValidationError

from edit_rrm.backoff import parse_retry_after
from edit_rrm.wire import CandidateScored, Problem, ScoreAnswer
from edit_rrm_client._calls import AnswerT, Call
from edit_rrm_client.errors import (
    AuthenticationError,
    DeadlineExceededError,
    EditRRMClientError,
    InvalidImageError,
    InvalidRequestError,
    OverloadedError,
    ProtocolError,
    ScoringFailedError,
    UnavailableError,
)

_BY_STATUS: Mapping[int, type[EditRRMClientError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    408: UnavailableError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: OverloadedError,
    500: ScoringFailedError,
    502: ScoringFailedError,
    503: UnavailableError,
    504: DeadlineExceededError,
}
_IMAGE_CODES = frozenset(
    {"image_too_large", "too_many_pixels", "unsupported_image", "broken_image", "image_shape"}
)
_EXCERPT_CHARS = 200


def rewards(answer: ScoreAnswer) -> list[float | None]:
    """One reward in [0, 1] per candidate, in order; None where scoring failed, never 0 in its place."""
    return [result.reward for result in answer.results]


def scored(answer: ScoreAnswer) -> list[CandidateScored]:
    """The candidates that have a reward, in order."""
    return [result for result in answer.results if isinstance(result, CandidateScored)]


def read_answer(call: Call[AnswerT], response: httpx.Response) -> AnswerT:
    """The call's answer. Raises the error that the response stands for."""
    if response.status_code != 200:
        raise read_error(response)
    try:
        answer = call.answer.model_validate_json(response.content)
        call.check(answer)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "body"
        raise ProtocolError(
            f"the answer to {call.path} does not fit: {where}: {first['msg']}",
            status=200,
            request_id=response.headers.get("x-request-id"),
        ) from error
    return answer


def read_error(response: httpx.Response) -> EditRRMClientError:
    """The typed error of a response that is not 200."""
    status = response.status_code
    retry_after_s = parse_retry_after(response.headers.get("retry-after"))
    request_id = response.headers.get("x-request-id")
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return _foreign_error(response, request_id, retry_after_s)
    error_type = _BY_STATUS.get(status, InvalidRequestError if 400 <= status < 500 else ProtocolError)
    if problem.code in _IMAGE_CODES:
        error_type = InvalidImageError
    return error_type(
        problem.detail or problem.title,
        code=problem.code,
        status=status,
        request_id=request_id or problem.instance,
        retry_after_s=retry_after_s,
    )


def _foreign_error(
    response: httpx.Response, request_id: str | None, retry_after_s: float | None
) -> EditRRMClientError:
    """An error that the service did not write: a proxy's page, or another service altogether.

    A gateway's 502 means that nobody answered behind it, which is not the service's own 502.
    """
    status = response.status_code
    excerpt = " ".join(response.text[:_EXCERPT_CHARS].split()) or "no text"
    if status == 502:
        error_type: type[EditRRMClientError] = UnavailableError
    elif status in (401, 403, 408, 413, 429, 503, 504):
        error_type = _BY_STATUS[status]
    else:
        error_type = ProtocolError
    return error_type(
        f"{response.request.url} answered {status} without a problem document ({excerpt}); "
        "is this the address of an edit-rrm service?",
        code=f"http_{status}",
        status=status,
        request_id=request_id,
        retry_after_s=retry_after_s,
    )
