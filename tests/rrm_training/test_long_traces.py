"""Long traces drawn by a vLLM whose probabilities are not quite the trainer's: all of their tokens learn."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from any_text import AnyText

from edit_rrm.image_scale import ImageScale
from edit_rrm_training.data.trl_rows import PairRows
from edit_rrm_training.gcpo.run import grpo_arguments
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.rollouts.preprocessed_once import stacked
from edit_rrm_training.runs.checkpoints import load_base
from edit_rrm_training.runs.settings import GcpoConfig, VllmSettings
from shapes_rows import pair

LONG, SHORT = 300, 3
AWAY = 0.01  # nats a token by which vLLM thinks a token likelier than the trainer does


def traces_of(*lengths: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(20, 200, (length,), generator=generator).tolist() for length in lengths]


@pytest.mark.parametrize("share_prompts", [False, True])
@pytest.mark.parametrize("away", [AWAY, -AWAY])
def test_every_token_of_a_long_trace_has_its_gradient(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share_prompts: bool, away: float
) -> None:
    """The long traces are cut off at the limit, too, and the ratio of all of one is e^±3: TRL's default drops
    it, or weighs it by a twentieth."""
    config = GcpoConfig(
        base=untrained, out=tmp_path, pairs=tmp_path, steps=1, traces=2, pairs_per_step=1, batch_per_device=4,
        max_trace_tokens=LONG, dtype="float32", gradient_checkpointing=False, share_prompts=share_prompts,
        vllm=VllmSettings(),
    )  # fmt: skip
    arguments = grpo_arguments(config, 1)
    arguments.use_vllm = False  # none is started: its traces are below
    base = load_base(config)
    rows = PairRows([pair(0)], tmp_path, AnyText(), ImageScale(96))
    trainer = GcpoTrainer(
        base.model, rows, None, AnyText(), share_prompts=share_prompts, args=arguments,
        processing_class=base.processor,
    )  # fmt: skip
    trainer.use_vllm = True
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    drawn = traces_of(LONG, SHORT, SHORT, LONG)
    logprobs: list[list[float]] = [[0.0] * len(trace) for trace in drawn]
    monkeypatch.setattr(trainer, "_generate_single_turn", lambda *_: (drawn, logprobs))
    monkeypatch.setattr(trainer, "_calculate_rewards", lambda *_: torch.tensor([[1.0], [0.0], [0.0], [1.0]]))
    batch = [rows[0], rows[0], rows[1], rows[1]]
    of_trainer = trainer._generate_and_score_completions(batch)["old_per_token_logps"]
    logprobs = [(row[: len(trace)] - away).tolist() for row, trace in zip(of_trainer, drawn, strict=True)]
    inputs = stacked(trainer._generate_and_score_completions(batch))
    assert inputs["advantages"].tolist() == [0.5, -0.5, -0.5, 0.5]
    found: list[torch.Tensor] = []
    score = GcpoTrainer._get_per_token_logps_and_entropies

    def kept(self: GcpoTrainer, *args: Any, **fields: Any) -> Any:
        logps, *others = score(self, *args, **fields)
        logps.retain_grad()
        found.append(logps)
        return logps, *others

    monkeypatch.setattr(GcpoTrainer, "_get_per_token_logps_and_entropies", kept)
    trainer._compute_loss(trainer.model, inputs).backward()
    (logps,) = found
    assert logps.grad is not None
    for gradient, advantage, trace in zip(logps.grad, (0.5, -0.5, -0.5, 0.5), drawn, strict=True):
        expected = -advantage * math.exp(away) / len(trace) / 4  # a mean of tokens, then of four traces
        assert gradient[: len(trace)].tolist() == pytest.approx([expected] * len(trace), rel=1e-3)
        assert not gradient[len(trace) :].any()
