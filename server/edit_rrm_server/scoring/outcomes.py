"""What becomes of a call's candidates: settled by guards, judged by the model, failed, or late."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from edit_rrm.errors import EditRRMError, ImageError
from edit_rrm.guards import GuardResult
from edit_rrm.images import EditImage
from edit_rrm.principles import Principle
from edit_rrm.wire import CandidateError, CandidateFailed, CandidateScored, PrinciplesFrom, Usage
from edit_rrm_server.errors import AllCandidatesFailedError, DeadlineExceededError, ServiceError
from edit_rrm_server.scoring.usage import NO_USAGE

Outcome = CandidateScored | CandidateFailed


@dataclass(frozen=True)
class Settled:
    """A candidate after its guards; `outcome` is there when the model need not see it."""

    candidate: EditImage | ImageError
    guards: tuple[GuardResult, ...]
    outcome: Outcome | None
    change_map: str | None = None

    def shown(self, outcome: Outcome) -> Outcome:
        """Its outcome with what was asked for beside its score."""
        if self.change_map is None or isinstance(outcome, CandidateFailed):
            return outcome
        return outcome.model_copy(update={"change_map": self.change_map})


@dataclass(frozen=True)
class Found:
    """A call's principles with what they cost; `needed`: a candidate was left for the model to judge."""

    principles: tuple[Principle, ...]
    origin: PrinciplesFrom = "request"
    usage: Usage = NO_USAGE
    queue_s: float = 0.0
    took_s: float = 0.0
    needed: bool = False


def failed(error: ServiceError | EditRRMError) -> CandidateFailed:
    """The outcome that says why there is none."""
    return CandidateFailed(error=CandidateError(code=error.code, detail=str(error)))


LATE = failed(DeadlineExceededError("the deadline passed before it was scored; others were"))


def finished(
    settling: "asyncio.Task[Settled]", judging: "asyncio.Task[tuple[Outcome, Usage]] | None"
) -> tuple[Outcome, Usage] | None:
    """A candidate's outcome and cost where it has one: it may have been cancelled before.

    One of whose samples only some were finished has none: those that end early are the short ones.
    """
    if judging is not None and judging.done() and not judging.cancelled():
        return judging.result()
    if settling.done() and not settling.cancelled():
        settled = settling.result()
        if settled.outcome is not None:
            return settled.shown(settled.outcome), NO_USAGE
    return None


def raise_common_failure(outcomes: Sequence[Outcome]) -> None:
    """If every candidate failed for the same reason, the request fails with it."""
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, CandidateFailed)]
    if len(errors) == len(outcomes) and len({error.code for error in errors}) == 1:
        raise AllCandidatesFailedError(
            errors[0].code, f"all {len(errors)} candidates failed: {errors[0].detail}"
        )
