"""Two steps of TRL's GRPOTrainer: the bundled model is the policy, the real service the reward.

The policy's text chooses which edited image is judged, so its rewards depend on what it writes. The first
completion of every group chooses an image that does not decode.
"""

import math
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from service_process import ServiceProcess
from shape_calls import png
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig, GRPOTrainer

from edit_rrm_client.adapters import async_trl_reward, trl_reward
from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_shapes.world.dataset import make_edit

GROUP = 4
STEPS = 2
BATCH = 2 * GROUP


class Watched(GRPOTrainer):
    """Keeps the rewards and the advantages of every step."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.rewards: list[torch.Tensor] = []
        self.advantages: list[torch.Tensor] = []

    def _calculate_rewards(self, *arguments: Any) -> torch.Tensor:
        rewards = super()._calculate_rewards(*arguments)
        self.rewards.append(rewards.clone())
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)
        self.advantages.append(output["advantages"].clone())
        return output


def rows(folder: Path) -> datasets.Dataset:
    """Two edits of the shapes world, their candidates as files."""
    found = []
    for index in (1, 2):
        edit = make_edit(seed=2026, index=index, candidate_count=8)
        files = []
        for number, candidate in enumerate(edit.candidates):
            files.append(str(folder / f"{index}-{number}.png"))
            candidate.picture().save(files[-1])
        content = [{"type": "image"}, {"type": "text", "text": edit.request.instruction}]
        found.append(
            {
                "prompt": [{"role": "user", "content": content}],
                "image": edit.picture(),
                "instruction": edit.request.instruction,
                "candidates": files,
            }
        )
    return datasets.Dataset.from_list(found)


def test_two_steps_with_a_failed_candidate_in_every_group(trained: ServiceProcess, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(png(make_edit(seed=2026, index=1, candidate_count=1).picture())[:80])

    def chosen(completions: list[Any], candidates: list[list[str]], **_: Any) -> list[str]:
        """The image that the length of the text, and the place in the group, point to."""
        return [
            str(broken) if i % GROUP == 0 else files[(len(str(text)) + i) % len(files)]
            for i, (text, files) in enumerate(zip(completions, candidates, strict=True))
        ]

    torch.manual_seed(0)
    policy = AutoModelForImageTextToText.from_pretrained(BUNDLED_MODEL, dtype=torch.float32)
    before = {name: value.clone() for name, value in policy.named_parameters()}
    trainer = Watched(
        model=policy,
        processing_class=AutoProcessor.from_pretrained(BUNDLED_MODEL),
        reward_funcs=[
            trl_reward(trained.url, edited=chosen),
            async_trl_reward(trained.url, edited=chosen, name="edit_rrm_async"),
        ],
        train_dataset=rows(tmp_path),
        args=GRPOConfig(
            output_dir=str(tmp_path / "run"),
            per_device_train_batch_size=BATCH,
            num_generations=GROUP,
            max_completion_length=12,
            max_steps=STEPS,
            learning_rate=1e-4,
            scale_rewards="none",
            reward_weights=[0.5, 0.5],
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
        ),
    )
    trainer.train()

    failed = torch.arange(BATCH) % GROUP == 0
    steps = [log for log in trainer.state.log_history if "reward" in log]
    assert len(trainer.rewards) == len(steps) == STEPS
    for rewards, advantages, log in zip(trainer.rewards, trainer.advantages, steps, strict=True):
        assert torch.isnan(rewards).tolist() == [[bool(f), bool(f)] for f in failed]
        blocking, asynchronous = rewards[~failed].T
        assert torch.equal(blocking, asynchronous)
        assert ((blocking >= 0) & (blocking <= 1)).all()
        groups = rewards[:, 0].view(-1, GROUP)
        expected = torch.nan_to_num(groups - groups.nanmean(dim=1, keepdim=True), nan=0.0).flatten()
        assert torch.allclose(advantages, expected, atol=1e-6)
        assert log["reward"] == pytest.approx(blocking.mean().item(), abs=1e-5)
        assert log["edit_rrm/failed"] == pytest.approx(1 / GROUP)
        assert math.isfinite(log["loss"])
    assert torch.stack(trainer.advantages).abs().max() > 0
    after = dict(policy.named_parameters())
    assert all(torch.isfinite(value).all() for value in after.values())
    assert any(not torch.equal(value, before[name]) for name, value in after.items())
