"""`compute_score` for verl (`custom_reward_function.path` and `.name`), blocking or asynchronous.

Verified in verl-project/verl (verl/experimental/reward_loop/reward_manager/naive.py): the reward manager
calls `compute_score(data_source=, solution_str=, ground_truth=, extra_info=, ...)` for one sample at a time,
awaits it if it is a coroutine function and else runs it in a thread; the answer is a number, or a mapping
whose `score` is the reward. All samples of a batch must have the mapping's keys in common (reward_loop.py
stacks them by the first one's), so there are always the same ones here.

A sample is one call: verl does not show its groups to a reward function. The service makes up for most of
it: the group's principles are decomposed once, and its prompts share the engine's prefix cache.

A failure raises, and verl ends the step with it. NaN (`on_failure="nan"`) would spread over the group.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, Unpack

from edit_rrm_client._async_client import AsyncRewardClient
from edit_rrm_client._client import RewardClient
from edit_rrm_client._many import ScoreOptions
from edit_rrm_client.adapters._edits import Edit
from edit_rrm_client.adapters._media import image_input, source_input
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
from edit_rrm_client.errors import InvalidRequestError

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
        return score_mapping(score_edits(rewarder, [edit], options), on_failure)

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
        return score_mapping(await score_edits_async(rewarder, [edit], options), on_failure)

    return compute_score


def edit_of(edited: Any, ground_truth: Any, extra_info: Any) -> Edit:
    """The edit of one sample. Raises InvalidRequestError."""
    found: Mapping[str, Any] = extra_info or {}
    instruction = found.get(INSTRUCTION_KEY) or ground_truth
    if not isinstance(instruction, str):
        raise InvalidRequestError(
            f"expected the instruction in extra_info[{INSTRUCTION_KEY!r}] or as ground_truth, "
            f"got {type(instruction).__name__}"
        )
    if found.get(SOURCE_KEY) is None:
        raise InvalidRequestError(f"expected the source image in extra_info[{SOURCE_KEY!r}], got none")
    return Edit(
        instruction,
        source_input(found[SOURCE_KEY], SOURCE_KEY),
        None if edited is None else image_input(edited, "edited image"),
    )


def score_mapping(outcomes: Sequence[Outcome], on_failure: OnFailure) -> dict[str, float]:
    """What verl takes for the one outcome."""
    (reward,) = rewards_or(outcomes, on_failure)
    return {"score": reward, **category_shares(outcomes[0])}


def _edited(edited: EditedFrom, solution_str: str, extra_info: Any) -> Any:
    found: Mapping[str, Any] = extra_info or {}
    return edited(solution_str, found) if callable(edited) else found.get(edited)
