"""EditScore's `evaluate_images`, the reward client of its OmniGen2-RL example.

Verified in VectorSpaceLab/EditScore (examples/OmniGen2-RL: train.py, omnigen2/grpo/reward_client_edit.py,
reward_server/reward_proxy.py): the main process calls `evaluate_images(input_images, output_image,
meta_datas, proxy_host, proxy_port, server_type)` for the gathered batch and unpacks
`scores, rewards, reasoning, meta_data`. `input_images` holds a list of PIL images per edit, `meta_datas` JSON
texts with an `instruction`; scores are 1 or 0 (reward at least 0.5), rewards 0 to 1, and `meta_data` the
parsed metadata with an `original_index`. The original sends pickles and returns None when it fails.

A failure raises, and ends the run with its reason. The trainer normalises with plain means: with
`on_failure="nan"` a NaN reward (and score) spreads over its group. That is for evaluation and for forks.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, Unpack

from edit_rrm_client._client import RewardClient
from edit_rrm_client._many import ScoreOptions
from edit_rrm_client.adapters._edits import Edit, same_length
from edit_rrm_client.adapters._media import rows_of
from edit_rrm_client.adapters._outcomes import (
    Failed,
    OnFailure,
    Outcome,
    checked_on_failure,
    rewards_or,
)
from edit_rrm_client.adapters._scoring import blocking_client, score_edits
from edit_rrm_client.errors import InvalidRequestError

SCORE_THRESHOLD = 0.5

Evaluated: TypeAlias = tuple[list[float], list[float], list[str], list[dict[str, Any]]]


def editscore_evaluate(
    client: RewardClient | str | Sequence[str],
    *,
    on_failure: OnFailure = "raise",
    **options: Unpack[ScoreOptions],
) -> Callable[..., Evaluated]:
    """`evaluate_images(input_images, output_image, meta_datas, ...)` → scores, rewards, reasoning, meta_data.

    `proxy_host`, `proxy_port` and `server_type` are taken and have no effect: the client knows its
    service. Edits of equal source and instruction are one call. Raises EditRRMClientError. Options as in
    `RewardClient.score`; the reasoning is always asked for.
    """
    rewarder = blocking_client(client)
    checked_on_failure(on_failure)
    with_reasoning: ScoreOptions = {**options, "include": sorted({"reasoning", *options.get("include", ())})}

    def evaluate_images(
        input_images: Sequence[Any],
        output_image: Sequence[Any],
        meta_datas: Sequence[str | Mapping[str, Any]],
        proxy_host: str | None = None,
        proxy_port: int | None = None,
        server_type: str | None = None,
    ) -> Evaluated:
        meta_data = [_metadata(text, i) for i, text in enumerate(meta_datas)]
        sources, edited = rows_of(input_images, "input_images"), rows_of(output_image, "output_image")
        count = same_length(output_image=edited, input_images=sources, meta_datas=meta_data)
        edits = [
            Edit(
                meta_data[i]["instruction"],
                sources[i],
                edited[i],
                source_name=f"input_images[{i}]",
                edited_name=f"output_image[{i}]",
            )
            for i in range(count)
        ]
        outcomes = score_edits(rewarder, edits, with_reasoning)
        rewards = rewards_or(outcomes, on_failure)
        return [_score(r) for r in rewards], rewards, [_reasoning(o) for o in outcomes], meta_data

    return evaluate_images


def _metadata(given: str | Mapping[str, Any], place: int) -> dict[str, Any]:
    try:
        found = json.loads(given) if isinstance(given, str) else given
    except ValueError as error:
        raise InvalidRequestError(f"meta_datas[{place}] is not JSON: {error}") from error
    if not isinstance(found, Mapping) or not isinstance(found.get("instruction"), str):
        raise InvalidRequestError(f"meta_datas[{place}]: expected an object with a text `instruction`")
    return {**found, "original_index": place}


def _score(reward: float) -> float:
    return math.nan if math.isnan(reward) else float(reward >= SCORE_THRESHOLD)


def _reasoning(outcome: Outcome) -> str:
    """The first sample's trace, or which guard decided without the model."""
    if isinstance(outcome, Failed):
        return str(outcome.error)
    if not outcome.result.samples:
        fired = [guard.name for guard in outcome.result.guards if guard.limits]
        return f"decided by a guard: {', '.join(fired)}"
    return outcome.result.samples[0].reasoning or ""
