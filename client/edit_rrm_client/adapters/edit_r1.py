"""A scorer for UniWorld's Edit-R1, beside its `mllm_score_*` functions.

Verified in PKU-YuanGroup/Edit-R1 (flow_grpo/rewards.py): `multi_score` looks scorers up by name and calls
those whose names begin with `mllm_` as `scorer(ref_images, images, prompts, metadatas)`, which returns
`(scores, {})`; the original sends pickles to its reward server. `images` is a tensor
[batch, 3, height, width] in 0 to 1, `ref_images` a list of PIL images. `multi_score` weights the scores and
sums them up. To replace `multi_score` as a whole, take `flow_grpo_reward`: the signature is the same.

A failure raises, and ends the run with its reason (see flow_grpo.py): the statistics know no NaN.
"""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

from edit_rrm_client._client import RewardClient
from edit_rrm_client._many import ScoreOptions
from edit_rrm_client.adapters._outcomes import OnFailure, checked_on_failure, rewards_or
from edit_rrm_client.adapters._scoring import blocking_client, score_edits
from edit_rrm_client.adapters.flow_grpo import batch_edits


def edit_r1_scorer(
    client: RewardClient | str | Sequence[str],
    *,
    on_failure: OnFailure = "raise",
    **options: Unpack[ScoreOptions],
) -> Callable[[Any, Any, Sequence[str], Any], tuple[list[float], dict[str, Any]]]:
    """`scorer(ref_images, images, prompts, metadatas)`, scores in [0, 1].

    Images of equal reference image and prompt are one call. Raises EditRRMClientError. Options as in
    `RewardClient.score`.
    """
    rewarder = blocking_client(client)
    checked_on_failure(on_failure)

    def scorer(
        ref_images: Any, images: Any, prompts: Sequence[str], metadatas: Any
    ) -> tuple[list[float], dict[str, Any]]:
        outcomes = score_edits(rewarder, batch_edits(images, prompts, ref_images), options)
        return rewards_or(outcomes, on_failure), {}

    return scorer
