"""The one exception tree of the service. Each carries the API's `code`; http/problems.py holds its status.

ServiceError
├── RequestRefusedError     the request is wrong: malformed_json, malformed_multipart, body_too_large,
│                           unsupported_media_type, invalid_request, unknown_model, missing_key, bad_key
├── BodyTimeoutError        body_timeout: the request's body took too long to arrive
├── NotNowError             refused for now
│   ├── RateLimitedError    rate_limited: the caller calls too often, or has had its tokens
│   ├── QueueFullError      queue_full: no room, nothing was queued
│   └── MemoryFullError     memory_full: no room for a body, or for a stream's lines
├── UnavailableError        loading, draining, engine_dead: nobody could be served now
├── DeadlineExceededError   deadline_exceeded: what was not finished was cancelled
├── AllCandidatesFailedError  every candidate failed for the same reason, whose code it carries
├── CallerGoneError         caller_gone: nobody is left to answer
├── ReloadRunningError      reload_running: the weights are being replaced already
├── ReloadError             reload_failed: the weights were not replaced, the old ones serve
├── EngineStartError        engine_dead: the engine did not come up; the detail has its own words
├── EngineLostError         engine_dead: the engine died and is given up
├── EngineError             engine_failed: the engine could not finish one prompt, others may still work
└── QuarantinedError        quarantined: the engine has died of this prompt, which is not given to it again

Errors of `edit_rrm` (images, traces, decompositions) carry codes of their own and pass through as they are.
"""


class ServiceError(Exception):
    """Base of every error this package raises. `retry_after_s` is set where trying again makes sense."""

    code: str = "internal"
    retry_after_s: float | None = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class RequestRefusedError(ServiceError):
    """The request cannot be served as it is; the same bytes will be refused again."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class BodyTimeoutError(ServiceError):
    """The request's body was not complete in time."""

    code = "body_timeout"


class NotNowError(ServiceError):
    """Base of what is refused for now; `retry_after_s` is how long that is thought to last."""

    retry_after_s: float

    def __init__(self, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class RateLimitedError(NotNowError):
    """The caller has used up its calls for now."""

    code = "rate_limited"


class QueueFullError(NotNowError):
    """There is no room for the call's jobs."""

    code = "queue_full"


class MemoryFullError(NotNowError):
    """There is no room for what the call brings, or for what it gave; the detail names what fills it."""

    code = "memory_full"


class UnavailableError(ServiceError):
    """The service cannot score now: `code` is loading, draining or engine_dead."""

    def __init__(self, code: str, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.code = code
        self.retry_after_s = retry_after_s


class DeadlineExceededError(ServiceError):
    """The call's deadline passed before its answer was complete."""

    code = "deadline_exceeded"


class AllCandidatesFailedError(ServiceError):
    """Every candidate failed with the same `code`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class CallerGoneError(ServiceError):
    """The caller closed the connection; its work is cancelled."""

    code = "caller_gone"


class ReloadRunningError(ServiceError):
    """Weights are replaced one after the other."""

    code = "reload_running"


class ReloadError(ServiceError):
    """The weights could not be replaced; the detail tells what serves now."""

    code = "reload_failed"


class EngineStartError(ServiceError):
    """The engine did not come up. `detail` says why in its own words, which are the operator's to read."""

    code = "engine_dead"


class EngineLostError(ServiceError):
    """The engine failed more often in a row than is allowed; the service ends."""

    code = "engine_dead"


class EngineError(ServiceError):
    """The engine gave no completion for one prompt."""

    code = "engine_failed"


class QuarantinedError(ServiceError):
    """The engine died more than once with this prompt in it; it is refused for a while."""

    code = "quarantined"
