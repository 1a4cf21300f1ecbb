"""The one exception tree of the client. Each error says what the service answered, as docs/api.md names it.

EditRRMClientError
├── InvalidRequestError    the call cannot succeed as it is: refused here, or by 400, 404, 413, 415, 422
│   └── InvalidImageError  one image cannot be sent or was refused; the detail says which
├── AuthenticationError    401, 403: a key is needed, or this one is wrong
├── OverloadedError        429: the queue is full or the rate is limited (retried)
├── UnavailableError       503, 408 (the upload was too slow), or no answer came at all (retried)
├── DeadlineExceededError  the total deadline passed, here or in the service (504)
├── ScoringFailedError     502: the model's text could not be used for any candidate; 500: a defect
└── ProtocolError          the answer is not what docs/api.md promises

A candidate that fails while others succeed raises nothing in `score`: it is a `CandidateFailed` in the
answer. `score_group` makes it a ScoringFailedError with the candidate's code, or None.
"""

from typing import ClassVar


class EditRRMClientError(Exception):
    """Base of every error this package raises.

    `status` is the HTTP status (None when no answer came), `code` the API's code or one of the
    client's own, `request_id` what the service's log calls this call, `retry_after_s` the wait
    that the service asked for.
    """

    default_code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        answered = f"{self.status} {self.code}" if self.status is not None else self.code
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{self.detail} [{answered}{request}]"


class InvalidRequestError(EditRRMClientError):
    """The same call will fail again: a field, an option or the address is wrong."""

    default_code = "invalid_request"


class InvalidImageError(InvalidRequestError):
    """An image is not one, is of a kind the client does not guess about, or was refused by the service."""

    default_code = "invalid_image"


class AuthenticationError(EditRRMClientError):
    """The service wants a key and got none, or a wrong one."""

    default_code = "missing_key"


class OverloadedError(EditRRMClientError):
    """The service refused before doing any work; all attempts that were allowed met the same answer."""

    default_code = "queue_full"
    retryable = True


class UnavailableError(EditRRMClientError):
    """The service is loading, draining, dead or not reachable."""

    default_code = "unreachable"
    retryable = True


class DeadlineExceededError(EditRRMClientError):
    """The call's total deadline passed before there was an answer."""

    default_code = "deadline_exceeded"


class ScoringFailedError(EditRRMClientError):
    """The service took the call and could not finish it: unusable model text, a failed engine, a defect."""

    default_code = "scoring_failed"


class ProtocolError(EditRRMClientError):
    """What answered does not speak this API, or an answer breaks its promises."""

    default_code = "protocol_error"
