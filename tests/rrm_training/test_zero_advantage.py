"""Traces without advantage: left out of the update, whose gradient is the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trl import GRPOTrainer

from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.gcpo.update.zero_advantage import has_advantage, keep_groups
from edit_rrm_training.runs.settings import GcpoConfig
from shapes_rows import pair, write_lines

BUNDLED = Path(__file__).parents[2] / "server" / "edit_rrm_server" / "models" / "edit-rrm-tiny"


def rows(advantages: list[float]) -> dict[str, Any]:
    """Row n, from 1, has one picture of n patches, each of which is n."""
    numbers = torch.arange(1, len(advantages) + 1)
    return {
        "advantages": torch.tensor(advantages),
        "completion_ids": numbers[:, None].repeat(1, 3),
        "num_images": [1] * len(advantages),
        "image_grid_thw": torch.stack([torch.ones_like(numbers), torch.ones_like(numbers), numbers], dim=1),
        "pixel_values": numbers.repeat_interleave(numbers)[:, None].float(),
        "num_items_in_batch": torch.tensor(7),
    }


@pytest.mark.parametrize(
    ("advantages", "group", "count", "kept"),
    [
        ([0.5, 0.0, -0.5, 0.0], 1, 2, [1, 3]),
        ([0.5, -0.5, 0.0, 0.0], 2, 1, [1, 2]),
        ([0.0, 0.0, 0.5, -0.5], 2, 1, [3, 4]),
        ([0.5, 0.0, -0.5, 0.0], 2, 2, [1, 2, 3, 4]),
        ([0.0, 0.0, 0.0, 0.0], 2, 1, [1, 2]),
        ([0.0, 0.0, 0.0, 0.0, 0.5, -0.5], 2, 2, [1, 2, 5, 6]),  # another process keeps two
    ],
)
def test_groups_with_an_advantage_stay_first_with_all_that_is_theirs(
    advantages: list[float], group: int, count: int, kept: list[int]
) -> None:
    given = rows(advantages)
    found = keep_groups(given, has_advantage(given["advantages"], group), count)
    assert found["completion_ids"][:, 0].tolist() == kept
    assert found["advantages"].tolist() == [advantages[row - 1] for row in kept]
    assert found["image_grid_thw"][:, 2].tolist() == kept
    assert found["pixel_values"][:, 0].tolist() == [row for row in kept for _ in range(row)]
    assert found["num_images"] == [1] * len(kept)
    assert found["num_items_in_batch"] == 7


@pytest.mark.slow
@pytest.mark.parametrize("share_prompts", [False, True])
def test_the_gradient_is_that_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share_prompts: bool
) -> None:
    ours = GcpoTrainer._compute_loss
    read: list[int] = []
    score = GcpoTrainer._get_per_token_logps_and_entropies

    def counted(self: GcpoTrainer, model: Any, ids: torch.Tensor, *args: Any, **fields: Any) -> Any:
        read.append(len(ids))
        return score(self, model, ids, *args, **fields)

    away: list[float] = []

    def both(self: GcpoTrainer, model: Any, inputs: Any) -> torch.Tensor:
        inputs["advantages"] = inputs["advantages"].clone()
        inputs["advantages"][:2] = 0.0
        inputs["advantages"][2:4] = torch.tensor([0.5, -0.5])
        weights = list(self.model.parameters())
        of_all = torch.autograd.grad(GRPOTrainer._compute_loss(self, model, inputs), weights)
        of_few = torch.autograd.grad(ours(self, model, inputs), weights)
        away.extend(
            ((few - every).norm() / every.norm().clamp(min=1e-6)).item()
            for few, every in zip(of_few, of_all, strict=True)
        )
        return ours(self, model, inputs)

    monkeypatch.setattr(GcpoTrainer, "_compute_loss", both)
    monkeypatch.setattr(GcpoTrainer, "_get_per_token_logps_and_entropies", counted)
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(2)])
    config = GcpoConfig(
        base=BUNDLED, out=tmp_path / "run", pairs=pairs, steps=1, traces=2, pairs_per_step=2,
        batch_per_device=8, max_trace_tokens=40, lr=1e-4, dtype="float32", gradient_checkpointing=False,
        equal_images=True, workers=0, share_prompts=share_prompts,
    )  # fmt: skip
    assert run_gcpo(config) is not None
    of_all, of_few, again = read
    assert of_all == 8
    assert of_few == again <= 6
    assert max(away) < 1e-3
