"""What an upstream's failures mean: to the caller, to the upstream's health, and whether another may help.

The table is by HTTP status; what never became an HTTP answer has functions of its own. Pure.
"""

from edit_rrm.backoff import parse_retry_after
from edit_rrm_server.errors import (
    EngineError,
    QueueFullError,
    RequestRefusedError,
    ServiceError,
    UnavailableError,
)

DOWN_RETRY_S = 5.0
_FULL_RETRY_S = 1.0
_MAX_RETRY_AFTER_S = 30.0
_SHOWN_CHARS = 300
_REFUSED = frozenset({400, 413, 422})
_GONE = frozenset({502, 503})


class UpstreamError(Exception):
    """One attempt that failed. `error` is what the caller gets if no other attempt succeeds.

    `final`: any upstream would refuse the same. `down`: this one takes no prompts until it is found well.
    `wait_s`: how long it asks to be left alone; None if it does not say.
    """

    def __init__(
        self, error: ServiceError, *, final: bool = False, down: bool = False, wait_s: float | None = None
    ) -> None:
        super().__init__(error.detail)
        self.error = error
        self.final = final
        self.down = down
        self.wait_s = wait_s


def none_up() -> UnavailableError:
    """No upstream can take a prompt."""
    return UnavailableError("engine_dead", "no upstream of the fleet is up", DOWN_RETRY_S)


def unreachable() -> UpstreamError:
    """The connection was refused: nobody listens there."""
    return UpstreamError(none_up(), down=True)


def broken_off() -> UpstreamError:
    """The connection broke, or was not made in time. A busy upstream does that too; checks will tell."""
    return UpstreamError(
        UnavailableError("engine_dead", "an upstream broke the connection off", DOWN_RETRY_S)
    )


def timed_out(after_s: float) -> UpstreamError:
    """No answer in time. It may be busy rather than broken: its health is not doubted."""
    return UpstreamError(EngineError(f"an upstream did not answer in {after_s:g} s"))


def unusable(what: str) -> UpstreamError:
    """An answer with status 200 that holds no completion; `what` must not quote it."""
    return UpstreamError(EngineError(f"an upstream's answer cannot be used: {what}"))


def refused(status: int, retry_after: str | None, message: str) -> UpstreamError:
    """An answer with another status. Of the upstream's `message` only a refusal of the prompt shows any."""
    if status in _REFUSED:
        detail = f"the model cannot take the prompt: {message[:_SHOWN_CHARS]}"
        return UpstreamError(RequestRefusedError("invalid_request", detail), final=True)
    asked_s = parse_retry_after(retry_after)
    wait_s = None if asked_s is None else min(asked_s, _MAX_RETRY_AFTER_S)
    if status == 429:
        full = QueueFullError("every upstream's own queue is full", wait_s or _FULL_RETRY_S)
        return UpstreamError(full, wait_s=wait_s)
    error = EngineError(f"an upstream answered with status {status}")
    return UpstreamError(error, down=status in _GONE, wait_s=wait_s)
