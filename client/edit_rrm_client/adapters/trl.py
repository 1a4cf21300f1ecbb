"""A reward function for TRL's GRPOTrainer (and RLOO), blocking or asynchronous.

Verified in TRL 1.16 (trl/trainer/grpo_trainer.py, `_calculate_rewards`): reward functions are called with
`prompts`, `completions`, `completion_ids`, `trainer_state`, `log_extra`, `log_metric` and every dataset
column, repeated for each completion. None becomes NaN; an edit that no reward function scored is left out
of its group's mean and standard deviation, and its advantage is 0 (TRL #5902).

Verified in ms-swift at 3602360 (swift/rl_core/grpo_algorithm.py): it calls the same functions with the
completions by position, and takes None for no reward, too.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, Unpack

from edit_rrm.principles import Category
from edit_rrm_client._async_client import AsyncRewardClient
from edit_rrm_client._client import RewardClient
from edit_rrm_client._many import ScoreOptions
from edit_rrm_client.adapters._edits import Edit, same_length
from edit_rrm_client.adapters._outcomes import Failed, Outcome, rewards_or_none, verdict_counts
from edit_rrm_client.adapters._scoring import (
    asyncio_client,
    blocking_client,
    score_edits,
    score_edits_async,
)
from edit_rrm_client.errors import InvalidRequestError

Column: TypeAlias = str | Callable[..., Sequence[Any]]
"""Where a value per completion comes from: a dataset column, or a function called as TRL calls a reward."""

LogExtra: TypeAlias = Callable[[str, list[Any]], None]
LogMetric: TypeAlias = Callable[[str, float], None]


class _Columns:
    """Finds a batch's edits among what TRL passes."""

    def __init__(
        self, instruction: Column, source: Column | None, edited: Column, group: Column | None
    ) -> None:
        self._instruction = instruction
        self._source = source
        self._edited = edited
        self._group = group

    def edits(self, passed: Mapping[str, Any]) -> list[Edit]:
        """One edit a completion. Raises InvalidRequestError."""
        instructions = _values("instruction", self._instruction, passed)
        sources = _values("source", self._source or _source_column(passed), passed)
        edited = _values("edited", self._edited, passed)
        groups = [None] * len(edited) if self._group is None else _values("group", self._group, passed)
        count = same_length(
            completions=passed["completions"],
            instructions=instructions,
            sources=sources,
            edited=edited,
            groups=groups,
        )
        return [
            Edit(
                instructions[i],
                sources[i],
                edited[i],
                groups[i],
                f"source of completion {i}",
                f"edited image of completion {i}",
            )
            for i in range(count)
        ]


def trl_reward(
    client: RewardClient | str | Sequence[str],
    *,
    edited: Column = "edited_image",
    instruction: Column = "instruction",
    source: Column | None = None,
    group: Column | None = None,
    name: str = "edit_rrm",
    **options: Unpack[ScoreOptions],
) -> Callable[..., list[float | None]]:
    """A reward function in [0, 1] for `GRPOTrainer(reward_funcs=...)`, None where scoring failed.

    `edited`, `instruction`, `source` and `group` name a dataset column each, or are functions called with
    all that TRL passes, which return a value per completion: this is where an editor that runs on the
    completions hooks in. An edited image may be None: no image, no reward. `source` defaults to the
    column `image`, or else `images`; a list is one source or several, in order. Completions of equal
    sources and instruction, or of equal `group`, are scored in one call. Logged: the share of met verdicts
    by category and of edits without a reward as metrics, the counts per completion as a column, all under
    `name`, which is also what TRL calls the reward. Options as in `RewardClient.score`.
    """
    rewarder = blocking_client(client)
    columns = _Columns(instruction, source, edited, group)

    def reward(
        completions: Sequence[Any],
        *,
        log_extra: LogExtra | None = None,
        log_metric: LogMetric | None = None,
        **passed: Any,
    ) -> list[float | None]:
        edits = columns.edits({"completions": completions, **passed})
        outcomes = score_edits(rewarder, edits, options)
        _report(outcomes, name, log_extra, log_metric)
        return rewards_or_none(outcomes)

    reward.__name__ = name
    return reward


def async_trl_reward(
    client: AsyncRewardClient | str | Sequence[str],
    *,
    edited: Column = "edited_image",
    instruction: Column = "instruction",
    source: Column | None = None,
    group: Column | None = None,
    name: str = "edit_rrm",
    **options: Unpack[ScoreOptions],
) -> Callable[..., Awaitable[list[float | None]]]:
    """`trl_reward` as a coroutine function: TRL runs it beside its other asynchronous rewards."""
    rewarder = asyncio_client(client)
    columns = _Columns(instruction, source, edited, group)

    async def reward(
        completions: Sequence[Any],
        *,
        log_extra: LogExtra | None = None,
        log_metric: LogMetric | None = None,
        **passed: Any,
    ) -> list[float | None]:
        edits = columns.edits({"completions": completions, **passed})
        outcomes = await score_edits_async(rewarder, edits, options)
        _report(outcomes, name, log_extra, log_metric)
        return rewards_or_none(outcomes)

    reward.__name__ = name
    return reward


def _values(what: str, column: Column, passed: Mapping[str, Any]) -> Sequence[Any]:
    if callable(column):
        values = column(**passed)
        if inspect.isawaitable(values):
            raise InvalidRequestError(f"the function for `{what}` must not be asynchronous")
        return values
    if column not in passed:
        raise InvalidRequestError(
            f"the dataset has no column {column!r} for `{what}`; it has {', '.join(sorted(passed))}"
        )
    found: Sequence[Any] = passed[column]
    return found


def _source_column(passed: Mapping[str, Any]) -> str:
    return "image" if "image" in passed else "images"


def _report(
    outcomes: Sequence[Outcome], name: str, log_extra: LogExtra | None, log_metric: LogMetric | None
) -> None:
    counts = [verdict_counts(outcome) for outcome in outcomes]
    if log_extra is not None:
        log_extra(f"{name}/verdicts", [_told(o, c) for o, c in zip(outcomes, counts, strict=True)])
    if log_metric is not None:
        for category in Category:
            met = sum(found.get(category.value, (0, 0))[0] for found in counts)
            total = sum(found.get(category.value, (0, 0))[1] for found in counts)
            if total:
                log_metric(f"{name}/{category.value}", met / total)
        if outcomes:
            log_metric(f"{name}/failed", sum(isinstance(o, Failed) for o in outcomes) / len(outcomes))


def _told(outcome: Outcome, counts: Mapping[str, tuple[int, int]]) -> str:
    """`follow 2/2, keep 1/3`, the guard that decided instead, or why there is no reward."""
    if isinstance(outcome, Failed):
        return f"failed: {outcome.error.code}"
    fired = [guard.name for guard in outcome.result.guards if guard.limits]
    told = [f"{category} {met}/{total}" for category, (met, total) in counts.items()]
    return ", ".join(told + [f"guard {guard}" for guard in fired])
