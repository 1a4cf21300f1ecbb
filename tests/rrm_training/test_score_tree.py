"""All scores behind the evidence of a trace: their probabilities are those of the traces that state them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from edit_rrm.traces import format_score
from edit_rrm_shapes import models
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.gcpo.credit.score_tree import SCORES, score_tree
from edit_rrm_training.gcpo.credit.win_ratio import expected_win_ratios
from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.runs.settings import GcpoConfig, RrmLora
from shapes_rows import pair, write_lines

pytestmark = pytest.mark.slow

SFT = models.TINY_SFT
"""It doubts its scores, as a base of GCPO does; edit-rrm-tiny is too sure to be moved by two steps."""


def characters(text: str) -> list[int]:
    return [ord(character) for character in text]


def test_the_tree_has_a_node_for_every_beginning_of_a_score() -> None:
    tree = score_tree(characters)
    beginnings = {
        format_score(score)[:length] for score in SCORES for length in range(len(format_score(score)))
    }
    assert len(SCORES) == 101
    assert len(tree) == len(beginnings) == 23
    assert tree.sees.sum(dim=1).tolist() == (tree.depths + 1).tolist()
    point = next(node for node in range(23) if tree.depths[node] == 2 and tree.tokens[node] == ord("."))
    above = tree.sees[point].nonzero()[:, 0].tolist()
    assert [chr(tree.tokens[node]) for node in above if node] == ["0", "."]


def test_a_score_has_the_product_of_its_tokens_probabilities() -> None:
    tree = score_tree(characters)
    logits = torch.randn(2, len(tree), 128, generator=torch.Generator().manual_seed(0))
    tokens = logits.log_softmax(-1)
    found = tree.log_probabilities(tokens)
    ten = int(tree.depths.argmax())
    above = tree.sees[ten].nonzero()[:, 0].tolist()  # the beginning, 1, 10, 10.
    expected = sum(tokens[:, node, ord(token)] for node, token in zip(above, "10.0", strict=True))
    torch.testing.assert_close(found[:, 100], expected)
    assert found.shape == (2, 101)
    assert (found.exp().sum(dim=1) < 1).all()


@pytest.mark.parametrize(
    ("encode", "why"),
    [
        (lambda text: [len(text)], "joins a score"),
        (lambda text: characters(text.replace(">7", "\u2460")), "joins a score"),
        (lambda text: characters("".join(each for each in text if not each.isdigit())), "apart"),
        (lambda text: characters(text.replace(".", "")), "apart"),
        (lambda text: characters(text.replace(".0", "")), "apart"),
    ],
)
def test_a_tokenizer_that_does_not_keep_scores_apart_is_refused(encode: Any, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        score_tree(encode)


def test_it_is_said_which_settings_do_not_go_with_all_scores(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "base": SFT, "out": tmp_path, "pairs": tmp_path, "steps": 1, "traces": 2,
        "batch_per_device": 8, "share_prompts": True, "credit": "all_scores",
    }  # fmt: skip
    GcpoConfig(**given)
    with pytest.raises(ValidationError, match="needs share_prompts"):
        GcpoConfig(**{**given, "share_prompts": False})
    GcpoConfig(**{**given, "kl": 0.1, "lora": RrmLora()})
    with pytest.raises(ValidationError, match="needs lora"):
        GcpoConfig(**{**given, "kl": 0.1})
    with pytest.raises(ValidationError, match=r"must be a multiple of 2 × traces \(4\)"):
        GcpoConfig(**{**given, "batch_per_device": 6})


@pytest.mark.parametrize("kind", ["full", "adapters with KL", "some unparsed"])
def test_scores_and_evidence_are_judged_as_in_plain_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Every score's probability and the KL, read off packed trees, against plain rows of one trace each."""
    generate = GcpoTrainer._generate_and_score_completions
    judged = GcpoTrainer._all_scores_loss
    surrogate = GcpoTrainer._surrogate
    without: list[list[int]] = []  # traces without a score, by step
    probabilities: list[torch.Tensor] = []
    divergences: list[float] = []
    learning: list[list[int]] = []  # traces that learn from all their tokens, by step

    def some_unparsed(self: GcpoTrainer, inputs: Any) -> Any:
        output = generate(self, inputs)
        if kind == "some unparsed":
            output["score_starts"][::3] = 0
            output["advantages"] = torch.linspace(-0.5, 0.5, len(output["advantages"]))
        without.append(output["score_starts"].eq(0).nonzero()[:, 0].tolist())
        return output

    def compared(self: GcpoTrainer, model: Any, inputs: Any, parsed: torch.Tensor) -> torch.Tensor:
        loss = judged(self, model, inputs, parsed)
        encode = self.processing_class.tokenizer.encode
        chosen = [0, 7, 35, 99, 100]
        stated = [encode(format_score(SCORES[score]), add_special_tokens=False) for score in chosen]
        plain = torch.tensor(
            [
                [_log_probs(self, model, inputs, row, tokens)[1].item() for tokens in stated]
                for row in range(len(parsed))
            ]
        )
        expected = plain.exp() * parsed[:, None]  # [traces, chosen]
        torch.testing.assert_close(probabilities[-1][:, chosen], expected, atol=1e-6, rtol=1e-3)
        assert expected.sum() > 0
        reward, kl = (
            self._metrics["train"][f"gcpo/{name}"][-1] for name in ("expected_reward", "evidence_kl")
        )
        assert loss.item() == pytest.approx(0.1 * kl - reward / 2, abs=1e-6)
        if kind == "adapters with KL":
            by_trace = []
            for row in range(len(parsed)):
                ours = _log_probs(self, model, inputs, row, ())[0]
                with model.disable_adapter():
                    base = _log_probs(self, model, inputs, row, ())[0]
                by_trace.append((ours.exp() * (ours - base)).sum().item())
            divergences.append(sum(by_trace) / len(by_trace))
            assert kl == pytest.approx(divergences[-1], rel=1e-2, abs=1e-5)
        return loss

    def noted(by_pair: torch.Tensor) -> torch.Tensor:
        probabilities.append(by_pair.flatten(0, 2).detach())
        return expected_win_ratios(by_pair)

    def watched(self: GcpoTrainer, model: Any, inputs: Any) -> torch.Tensor:
        learning.append(inputs["advantages"].ne(0).nonzero()[:, 0].tolist())
        return surrogate(self, model, inputs)

    monkeypatch.setattr(GcpoTrainer, "_generate_and_score_completions", some_unparsed)
    monkeypatch.setattr(GcpoTrainer, "_all_scores_loss", compared)
    monkeypatch.setattr(GcpoTrainer, "_surrogate", watched)
    monkeypatch.setattr("edit_rrm_training.gcpo.credit.all_scores.expected_win_ratios", noted)
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(4)])
    config = GcpoConfig(
        base=SFT, out=tmp_path / "run", pairs=pairs, steps=2, traces=2, pairs_per_step=2,
        batch_per_device=8, max_trace_tokens=200, lr=1e-3, dtype="float32", temperature=1.3,
        gradient_checkpointing=False, equal_images=True, workers=0, credit="all_scores", share_prompts=True,
        lora=RrmLora(rank=2, alpha=4) if kind == "adapters with KL" else None,
        kl=0.1 if kind == "adapters with KL" else 0.0,
    )  # fmt: skip
    assert run_gcpo(config) is not None
    assert len(without) == 2
    assert all(len(rows) <= 4 for rows in without)
    if kind == "some unparsed":
        assert learning == without
        assert all({0, 3, 6} <= set(rows) for rows in without)
    if kind == "adapters with KL":
        first, second = divergences
        assert first == pytest.approx(0.0, abs=1e-6)
        assert second > 1e-4


def _log_probs(
    trainer: Any, model: Any, inputs: Any, row: int, stated: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a row alone, its evidence followed by `stated`: log-probabilities where the evidence's tokens are
    predicted, [tokens, vocabulary], and that of `stated` behind it."""
    start = int(inputs["score_starts"][row]) or int(inputs["completion_mask"][row].sum())
    evidence = inputs["completion_ids"][row, :start]
    real = inputs["prompt_mask"][row].bool()
    prompt = inputs["prompt_ids"][row, real]
    ids = torch.cat([prompt, evidence, torch.tensor(list(stated), dtype=torch.long)])
    kinds = torch.zeros_like(ids)
    kinds[: len(prompt)] = inputs["mm_token_type_ids"][row, : len(real)][real]
    patches = inputs["image_grid_thw"].prod(dim=1).tolist()
    first, end = sum(patches[: 2 * row]), sum(patches[: 2 * row + 2])
    with torch.no_grad():
        logits = model(
            input_ids=ids[None], attention_mask=torch.ones_like(ids)[None], mm_token_type_ids=kinds[None],
            pixel_values=inputs["pixel_values"][first:end],
            image_grid_thw=inputs["image_grid_thw"][2 * row : 2 * row + 2],
        ).logits[0]  # fmt: skip
    log_probs = (logits / trainer.temperature).log_softmax(-1)[len(prompt) - 1 : -1]
    of_stated = log_probs[start:].gather(1, ids[len(prompt) + start :, None]).sum()
    return log_probs[:start], of_stated
