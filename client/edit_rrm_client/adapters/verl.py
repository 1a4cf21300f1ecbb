"""`compute_score` for verl (`custom_reward_function.path` and `.name`), blocking or asynchronous.

Verified in verl-project/verl (verl/experimental/reward_loop/reward_manager/naive.py): the reward manager
calls `compute_score(data_source=, solution_str=, ground_truth=, extra_info=, ...)` for one sample at a time,
awaits it if it is a coroutine function and else runs it in a thread; the answer is a number, or a mapping
whose `score` is the reward. All samples of a batch must have the mapping's keys in common (reward_loop.py
stacks them by the first one's), so there are always the same ones here.

A sample is one call: verl does not show its groups to a reward function. The service makes up for most of
it: the group's principles are decomposed once, and its prompts share the engine's prefix cache.

Verified in verl at b178a3c (verl/workers/reward_manager/batch.py): the batch manager passes lists, by the
names that `verl_batch_reward` takes.

A failure raises, and verl ends the step with it. NaN (`on_failure="nan"`) would spread over the group.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, Unpack

from edit_rrm_client._async_client import AsyncRewardClient
from edit_rrm_client._client import RewardClient
from edit_rrm_client._many import ScoreOptions
from edit_rrm_client.adapters._edits import Edit, same_length
from edit_rrm_client.adapters._outcomes import (
    OnFailure,
    Outcome,
    category_shares,
    checked_on_failure,
    rewards_or,
)
from edit_rrm_client.adapters._scoring import (
    asyncio_client,
    blocking_client,
    score_edits,
    score_edits_async,
)

EditedFrom: TypeAlias = str | Callable[[str, Mapping[str, Any]], Any]
"""Where the edited image is: a key of `extra_info`, or a function of `solution_str` and `extra_info`."""

SOURCE_KEY = "source_img"
INSTRUCTION_KEY = "instruction"


def verl_reward(
    client: RewardClient | str | Sequence[str],
    *,
    edited: EditedFrom = "edited_img",
    on_failure: OnFailure = "raise",
    **options: Unpack[ScoreOptions],
) -> Callable[..., dict[str, float]]:
    """A `compute_score` that answers `{"score": reward in [0, 1], "follow", "keep", "quality"}`.

    `extra_info` holds the source image (or a list of several) as `source_img` and the instruction as
    `instruction`, or else `ground_truth` is the instruction. The categories are the shares of met verdicts,
    NaN where there was none. Raises EditRRMClientError. Options as in `RewardClient.score`.
    """
    rewarder = blocking_client(client)
    checked_on_failure(on_failure)

    def compute_score(
        data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any = None, **passed: Any
    ) -> dict[str, float]:
        edit = edit_of(_edited(edited, solution_str, extra_info), ground_truth, extra_info)
        return score_mapping(score_edits(rewarder, [edit], options, alone=True), on_failure)

    return compute_score


def async_verl_reward(
    client: AsyncRewardClient | str | Sequence[str],
    *,
    edited: EditedFrom = "edited_img",
    on_failure: OnFailure = "raise",
    **options: Unpack[ScoreOptions],
) -> Callable[..., Awaitable[dict[str, float]]]:
    """`verl_reward` as a coroutine function: verl's reward loop awaits all samples of a batch at once."""
    rewarder = asyncio_client(client)
    checked_on_failure(on_failure)

    async def compute_score(
        data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any = None, **passed: Any
    ) -> dict[str, float]:
        edit = edit_of(_edited(edited, solution_str, extra_info), ground_truth, extra_info)
        outcomes = await score_edits_async(rewarder, [edit], options, alone=True)
        return score_mapping(outcomes, on_failure)

    return compute_score


def verl_batch_reward(
    client: RewardClient | str | Sequence[str],
    *,
    edited: EditedFrom = "edited_img",
    on_failure: OnFailure = "raise",
    **options: Unpack[ScoreOptions],
) -> Callable[..., list[dict[str, float]]]:
    """`verl_reward` for verl's batch manager, which passes lists: samples of one edit are one call.

    A sample that cannot be scored costs no other where `on_failure="nan"`.
    """
    rewarder = blocking_client(client)
    checked_on_failure(on_failure)

    def compute_score(
        data_sources: Sequence[Any],
        solution_strs: Sequence[str],
        ground_truths: Sequence[Any],
        extra_infos: Sequence[Any],
        **passed: Any,
    ) -> list[dict[str, float]]:
        count = same_length(solution_strs=solution_strs, ground_truths=ground_truths, extra_infos=extra_infos)
        edits = [
            edit_of(_edited(edited, solution_strs[i], extra_infos[i]), ground_truths[i], extra_infos[i])
            for i in range(count)
        ]
        return score_mappings(score_edits(rewarder, edits, options), on_failure)

    return compute_score


def edit_of(edited: Any, ground_truth: Any, extra_info: Any) -> Edit:
    """The edit of one sample, whatever it lacks."""
    found: Mapping[str, Any] = extra_info or {}
    return Edit(
        found.get(INSTRUCTION_KEY) or ground_truth,
        found.get(SOURCE_KEY),
        edited,
        source_name=f"extra_info[{SOURCE_KEY!r}]",
        edited_name="edited image",
    )


def score_mapping(outcomes: Sequence[Outcome], on_failure: OnFailure) -> dict[str, float]:
    """What verl takes for the one outcome."""
    (mapping,) = score_mappings(outcomes, on_failure)
    return mapping


def score_mappings(outcomes: Sequence[Outcome], on_failure: OnFailure) -> list[dict[str, float]]:
    """What verl takes for each outcome."""
    rewards = rewards_or(outcomes, on_failure)
    return [
        {"score": reward, **category_shares(outcome)}
        for reward, outcome in zip(rewards, outcomes, strict=True)
    ]


def _edited(edited: EditedFrom, solution_str: str, extra_info: Any) -> Any:
    found: Mapping[str, Any] = extra_info or {}
    return edited(solution_str, found) if callable(edited) else found.get(edited)
