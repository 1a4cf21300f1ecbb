"""A reward function for flow_grpo's editing scripts, in place of `flow_grpo.rewards.multi_score(...)`.

Verified in yifan123/flow_grpo (flow_grpo/rewards.py, scripts/train_flux_kontext.py): it is submitted to a
thread pool as `reward_fn(images, prompts, prompt_metadata, ref_images, only_strict=True)`; `images` is a
tensor [batch, 3, height, width] in 0 to 1 (its scorers also take uint8 arrays, channels last),
`ref_images` a list of PIL images; the answer is `(scores, {})`, with `scores["avg"]` the reward and every
list gathered over the ranks, so its keys must not vary. PKU-YuanGroup/Edit-R1 calls its own `reward_fn` in
just this way (flow_grpo/rewards.py, scripts/train_nft_kontext.py).

A failure raises: `result()` of the future raises it again and the run ends with its reason. NaN would not
be left out: flow_grpo's statistics use plain means, so one NaN spreads over its whole group, passes the
mask for zero advantages, and makes the loss NaN. `on_failure="nan"` is for forks that know NaN.
"""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

from edit_rrm_client._client import RewardClient
from edit_rrm_client._many import ScoreOptions
from edit_rrm_client.adapters._edits import Edit, same_length
from edit_rrm_client.adapters._media import rows_of
from edit_rrm_client.adapters._outcomes import OnFailure, checked_on_failure, rewards_or
from edit_rrm_client.adapters._scoring import blocking_client, score_edits
from edit_rrm_client.errors import InvalidRequestError


def flow_grpo_reward(
    client: RewardClient | str | Sequence[str],
    *,
    name: str = "edit_rrm",
    on_failure: OnFailure = "raise",
    **options: Unpack[ScoreOptions],
) -> Callable[..., tuple[dict[str, list[float]], dict[str, Any]]]:
    """`reward_fn(images, prompts, metadata, ref_images, only_strict=True)`, rewards in [0, 1].

    The scores are `{name: [...], "avg": [...]}`. Images of equal reference image (or list of
    several) and prompt are one call.
    Raises EditRRMClientError. Options as in `RewardClient.score`.
    """
    rewarder = blocking_client(client)
    checked_on_failure(on_failure)

    def reward_fn(
        images: Any, prompts: Sequence[str], metadata: Any, ref_images: Any = None, only_strict: bool = True
    ) -> tuple[dict[str, list[float]], dict[str, Any]]:
        if ref_images is None:
            raise InvalidRequestError(
                "an edit cannot be judged without `ref_images`, the images it began from"
            )
        outcomes = score_edits(rewarder, batch_edits(images, prompts, ref_images), options)
        rewards = rewards_or(outcomes, on_failure)
        return {name: rewards, "avg": list(rewards)}, {}

    return reward_fn


def batch_edits(images: Any, prompts: Sequence[str], ref_images: Any) -> list[Edit]:
    """The edits of a batch of images, prompts and reference images. Raises InvalidRequestError."""
    edited, sources = rows_of(images, "images"), rows_of(ref_images, "ref_images")
    count = same_length(images=edited, prompts=prompts, ref_images=sources)
    return [
        Edit(
            prompts[i],
            sources[i],
            edited[i],
            source_name=f"ref_images[{i}]",
            edited_name=f"images[{i}]",
        )
        for i in range(count)
    ]
