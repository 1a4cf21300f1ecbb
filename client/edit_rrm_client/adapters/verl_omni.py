"""`compute_score` for verl-omni's visual reward manager, where the sample is the edited image itself.

Verified in verl-project/verl-omni (verl_omni/reward_loop/reward_manager/visual.py and
verl_omni/utils/reward_score/genrm_image_edit.py): `compute_score(data_source=, solution_image=,
ground_truth=, extra_info=, ...)`, awaited if it is a coroutine function; `solution_image` is a tensor
[3, height, width] of bytes (of floats in 0 to 1 in earlier versions), perhaps with a batch dimension of
one; `extra_info` holds `source_img` and `instruction`. The answer and the failures are as in verl.py; the
project's own edit judge turns a failure into the score 0, which this does not.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Unpack

from edit_rrm_client._async_client import AsyncRewardClient
from edit_rrm_client._many import ScoreOptions
from edit_rrm_client.adapters._outcomes import OnFailure, checked_on_failure
from edit_rrm_client.adapters._scoring import asyncio_client, score_edits_async
from edit_rrm_client.adapters.verl import edit_of, score_mapping


def verl_omni_reward(
    client: AsyncRewardClient | str | Sequence[str],
    *,
    on_failure: OnFailure = "raise",
    **options: Unpack[ScoreOptions],
) -> Callable[..., Awaitable[dict[str, float]]]:
    """An asynchronous `compute_score` that answers as `verl_reward` does, with the reward as `score`.

    Raises EditRRMClientError. Options as in `RewardClient.score`.
    """
    rewarder = asyncio_client(client)
    checked_on_failure(on_failure)

    async def compute_score(
        data_source: Any, solution_image: Any, ground_truth: Any, extra_info: Any = None, **passed: Any
    ) -> dict[str, float]:
        edit = edit_of(solution_image, ground_truth, extra_info)
        outcomes = await score_edits_async(rewarder, [edit], options, alone=True)
        return score_mapping(outcomes, on_failure)

    return compute_score
