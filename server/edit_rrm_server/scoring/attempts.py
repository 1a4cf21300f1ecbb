"""`attempted`: one text from the engine, asked for as often as is configured until it can be used."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from edit_rrm.errors import DecompositionError, EditRRMError, NoProbabilityError, TraceError
from edit_rrm.wire import Usage
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.errors import ServiceError
from edit_rrm_server.scoring.sampling import Attempts
from edit_rrm_server.scoring.usage import NO_USAGE, add_usage, usage_of

T = TypeVar("T")
Failure = ServiceError | EditRRMError


@dataclass(frozen=True)
class Drawn(Generic[T]):
    """What the attempts at one text gave: what was `read`, or the last failure, and what all of them cost.

    `redrawn` says that it is not the text which was asked for first, but one with another seed.
    """

    read: T | None
    failure: Failure | None
    usage: Usage
    redrawn: bool = False
    attempts: int = 1


async def attempted(
    attempts: Attempts,
    first: SamplingSettings,
    generate: Callable[[SamplingSettings], Awaitable[Completion]],
    read: Callable[[Completion], T],
    *,
    cut_off: Callable[[Completion], Failure | None],
    may_grow: bool,
    may_redraw: bool = True,
) -> Drawn[T]:
    """The first completion that `read` takes; TraceError and DecompositionError say that it does not.

    `cut_off` has the failure of a text that ended at its budget, which is asked for again with a larger one
    where `may_grow`; one that does not parse is drawn again where `may_redraw`. An error of the service ends
    it. All failures are in the result, not raised.
    """
    settings, usage, redrawn = first, NO_USAGE, False
    failure: Failure | None = None
    for made in range(1, 2 + attempts.retries):
        try:
            completion = await generate(settings)
        except ServiceError as error:  # not for another seed to mend: engines repeat what can be repeated
            return Drawn(None, error, usage, redrawn, made)
        usage = add_usage(usage, usage_of(completion))
        failure = cut_off(completion)
        if failure is not None:
            longer = attempts.longer(settings, completion.prompt_tokens) if may_grow else None
            if longer is None:
                break
            settings = longer
            continue
        try:
            return Drawn(read(completion), None, usage, redrawn, made)
        except (TraceError, DecompositionError) as error:
            failure = error
            if not may_redraw or isinstance(error, NoProbabilityError):
                break
            settings, redrawn = attempts.redrawn(settings), True
    return Drawn(None, failure, usage, redrawn, made)
