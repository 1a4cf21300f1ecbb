"""The adapters against the real service, each called as its trainer calls it."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest
import torch
from service_process import ServiceProcess

from edit_rrm_client import InvalidImageError, RewardClient, ScoringFailedError
from edit_rrm_client.adapters import (
    async_verl_reward,
    edit_r1_scorer,
    editscore_evaluate,
    flow_grpo_reward,
    verl_omni_reward,
    verl_reward,
)
from edit_rrm_shapes.world.dataset import EditRecord


@pytest.fixture(scope="module")
def scored(trained: ServiceProcess, edit: EditRecord) -> tuple[list[Any], list[float]]:
    """Edited pictures that can be scored, and the rewards /v1/score gives them."""
    pictures = [candidate.picture() for candidate in edit.candidates]
    with RewardClient(trained.url) as client:
        rewards = client.score_group(edit.request.instruction, edit.picture(), pictures, on_error="none")
    kept = [(p, r) for p, r in zip(pictures, rewards, strict=True) if r is not None]
    assert len(kept) >= 6
    assert len({reward for _, reward in kept}) > 1
    return [picture for picture, _ in kept], [reward for _, reward in kept]


def tensor(pictures: list[Any]) -> torch.Tensor:
    """[batch, 3, height, width] in 0 to 1, as a pipeline gives with output_type="pt"."""
    return torch.tensor(np.stack([np.asarray(p) for p in pictures])).permute(0, 3, 1, 2).float() / 255


def test_flow_grpo_and_edit_r1(
    trained: ServiceProcess, edit: EditRecord, scored: tuple[list[Any], list[float]]
) -> None:
    pictures, rewards = scored
    prompts, sources = (edit.request.instruction,) * len(rewards), [edit.picture() for _ in rewards]
    reward_fn = flow_grpo_reward(trained.url)
    scores, _ = reward_fn(tensor(pictures), prompts, [{}] * len(rewards), sources, only_strict=True)
    assert scores == {"edit_rrm": rewards, "avg": rewards}
    scorer = edit_r1_scorer(trained.url)
    assert scorer(sources, tensor(pictures), prompts, [{}] * len(rewards)) == (rewards, {})


def test_editscore(trained: ServiceProcess, edit: EditRecord, scored: tuple[list[Any], list[float]]) -> None:
    pictures, rewards = scored
    found_scores, found_rewards, reasoning, _ = editscore_evaluate(trained.url)(
        input_images=[[edit.picture()] for _ in rewards],
        output_image=pictures,
        meta_datas=[json.dumps({"instruction": edit.request.instruction})] * len(rewards),
    )
    assert found_rewards == rewards
    assert found_scores == [float(reward >= 0.5) for reward in rewards]
    assert all(text for text in reasoning)


def test_verl_and_verl_omni(
    trained: ServiceProcess, edit: EditRecord, scored: tuple[list[Any], list[float]]
) -> None:
    pictures, rewards = scored
    extra_info = {"source_img": edit.picture(), "instruction": edit.request.instruction}
    sample = {"data_source": "shapes", "solution_str": "", "ground_truth": ""}
    compute_score = verl_reward(trained.url)
    found = compute_score(**sample, extra_info={**extra_info, "edited_img": pictures[0]})
    assert found["score"] == rewards[0]

    async def all_at_once() -> list[dict[str, float]]:
        texts = async_verl_reward(trained.url)
        visuals = verl_omni_reward(trained.url)
        images = [(image * 255).round().to(torch.uint8) for image in tensor(pictures)]
        return await asyncio.gather(
            *(texts(**sample, extra_info={**extra_info, "edited_img": p}) for p in pictures),
            *(visuals("shapes", image, "", extra_info) for image in images),
        )

    assert [each["score"] for each in asyncio.run(all_at_once())] == rewards * 2


def test_a_broken_edit_is_raised_where_the_trainer_knows_no_missing_reward(
    trained: ServiceProcess, edit: EditRecord
) -> None:
    extra_info = {"source_img": edit.picture(), "edited_img": b"\x89PNG\r\n\x1a\n broken"}
    # The one candidate of its call: the call itself fails, with the reason of the image.
    with pytest.raises(InvalidImageError, match="broken_image"):
        verl_reward(trained.url)("shapes", "", edit.request.instruction, extra_info)
    with pytest.raises(ScoringFailedError, match="edit 1 was not scored"):
        editscore_evaluate(trained.url)(
            [[edit.picture()]] * 2,
            [edit.candidates[0].picture(), extra_info["edited_img"]],
            [{"instruction": edit.request.instruction}] * 2,
        )
