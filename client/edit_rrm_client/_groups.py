"""A group's rewards as a plain list. What failed is raised or None, as the caller decides; never a number."""

import logging
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from edit_rrm.wire import CandidateFailed, ScoreAnswer
from edit_rrm_client._answers import rewards
from edit_rrm_client._images import ImageInput
from edit_rrm_client.errors import (
    DeadlineExceededError,
    EditRRMClientError,
    InvalidRequestError,
    OverloadedError,
    ScoringFailedError,
    UnavailableError,
)

OnError: TypeAlias = Literal["raise", "none"]
"""What a failure becomes in a list of rewards: an error, or None in the candidate's place."""

_PASSING = (OverloadedError, UnavailableError, DeadlineExceededError, ScoringFailedError)
_logger = logging.getLogger("edit_rrm_client")


def checked_on_error(on_error: OnError) -> OnError:
    """`on_error` if it is one. Raises InvalidRequestError."""
    if on_error not in get_args(OnError):
        raise InvalidRequestError(f"on_error must be one of {', '.join(get_args(OnError))}, got {on_error!r}")
    return on_error


def may_pass(error: EditRRMClientError) -> bool:
    """Whether the same call may succeed later: overload, no answer, the deadline, unusable model text."""
    return isinstance(error, _PASSING)


def rewards_of_answer(answer: ScoreAnswer, on_error: OnError) -> list[float | None]:
    """One reward per candidate. Raises ScoringFailedError for the first failed one unless told "none"."""
    for index, result in enumerate(answer.results):
        if not isinstance(result, CandidateFailed):
            continue
        detail = f"candidates[{index}] was not scored: {result.error.detail}"
        if on_error == "raise":
            raise ScoringFailedError(detail, code=result.error.code, request_id=answer.id)
        _logger.warning("%s [%s, request %s]", detail, result.error.code, answer.id)
    return rewards(answer)


def rewards_of_failure(
    error: EditRRMClientError, candidates: Sequence[ImageInput], on_error: OnError
) -> list[float | None]:
    """None for every candidate of a call that failed for a passing reason and "none" was asked for.

    Raises `error` otherwise: a wrong call, key or address would fail for ever, and must be seen.
    """
    if on_error == "raise" or not may_pass(error):
        raise error
    _logger.warning("none of %d candidates was scored: %s", len(candidates), error)
    return [None] * len(candidates)
