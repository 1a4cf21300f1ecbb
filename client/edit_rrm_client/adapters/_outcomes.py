"""What became of each edit of a batch, and what a trainer is given for one that could not be scored."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from edit_rrm.principles import Category, Principle
from edit_rrm.wire import CandidateAnswer, CandidateFailed, CandidateScored, ScoreAnswer
from edit_rrm_client.errors import EditRRMClientError, InvalidRequestError, ScoringFailedError

OnFailure: TypeAlias = Literal["raise", "nan"]
"""What an edit that could not be scored becomes where a trainer has no word for it: its error, or NaN."""

_logger = logging.getLogger("edit_rrm_client")


@dataclass(frozen=True)
class Scored:
    """An edit's result and the principles it was judged by."""

    result: CandidateScored
    principles: Sequence[Principle]


@dataclass(frozen=True)
class Failed:
    """An edit without a reward, and why."""

    error: EditRRMClientError


Outcome: TypeAlias = Scored | Failed


def outcome_of(answer: ScoreAnswer, result: CandidateAnswer, place: int) -> Outcome:
    """The outcome of the edit at `place` from its result in a call's answer."""
    if isinstance(result, CandidateFailed):
        detail = f"edit {place} was not scored: {result.error.detail}"
        return Failed(ScoringFailedError(detail, code=result.error.code, request_id=answer.id))
    return Scored(result, answer.principles)


def not_edited(place: int) -> Failed:
    """The outcome of an edit for which there is no image."""
    return Failed(ScoringFailedError(f"edit {place} has no edited image", code="no_edited_image"))


def rewards_or_none(outcomes: Sequence[Outcome]) -> list[float | None]:
    """Rewards in [0, 1]; None, and a warning in the log, for an edit that could not be scored."""
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            _logger.warning("an edit has no reward: %s", outcome.error)
    return [outcome.result.reward if isinstance(outcome, Scored) else None for outcome in outcomes]


def rewards_or(outcomes: Sequence[Outcome], on_failure: OnFailure) -> list[float]:
    """Rewards in [0, 1]. Raises the first failure's error; with "nan" it is logged and becomes NaN."""
    if on_failure == "raise":
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                raise outcome.error
    return [math.nan if reward is None else reward for reward in rewards_or_none(outcomes)]


def checked_on_failure(on_failure: OnFailure) -> OnFailure:
    """`on_failure` if it is one. Raises InvalidRequestError."""
    if on_failure not in get_args(OnFailure):
        raise InvalidRequestError(
            f"on_failure must be one of {', '.join(get_args(OnFailure))}, got {on_failure!r}"
        )
    return on_failure


def category_shares(outcome: Outcome) -> dict[str, float]:
    """The share of met verdicts by category, always all three; NaN where there is no verdict."""
    found = outcome.result.categories if isinstance(outcome, Scored) else {}
    return {category.value: found.get(category, math.nan) for category in Category}


def verdict_counts(outcome: Outcome) -> dict[str, tuple[int, int]]:
    """How many verdicts were met, and how many there are, by category; none of a failed edit."""
    if isinstance(outcome, Failed):
        return {}
    categories = {principle.id: principle.category.value for principle in outcome.principles}
    counts: dict[str, tuple[int, int]] = {}
    for verdict in outcome.result.verdicts:
        met, total = counts.get(categories[verdict.principle], (0, 0))
        counts[categories[verdict.principle]] = (met + verdict.met, total + 1)
    return counts
