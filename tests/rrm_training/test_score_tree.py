"""All scores behind the evidence of a trace: their probabilities are those of the traces that state them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from shapes_rows import pair, write_lines
from trl import GRPOTrainer

from edit_rrm.traces import format_score
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.gcpo import GcpoTrainer
from edit_rrm_training.gcpo_run import run_gcpo
from edit_rrm_training.score_tree import SCORES, score_tree
from edit_rrm_training.train_settings import GcpoConfig, LoraSettings

BUNDLED = Path(__file__).parents[2] / "server" / "edit_rrm_server" / "models" / "edit-rrm-tiny"


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
        "base": BUNDLED, "out": tmp_path, "pairs": tmp_path, "steps": 1, "traces": 2,
        "batch_per_device": 8, "share_prompts": True, "credit": "all_scores",
    }  # fmt: skip
    GcpoConfig(**given)
    for wrong in ({"share_prompts": False}, {"top_entropy": 0.5}):
        with pytest.raises(ValidationError, match="needs share_prompts, and does not go with top_entropy"):
            GcpoConfig(**{**given, **wrong})
    GcpoConfig(**{**given, "kl": 0.1, "lora": LoraSettings()})
    with pytest.raises(ValidationError, match="needs lora"):
        GcpoConfig(**{**given, "kl": 0.1})
    with pytest.raises(ValidationError, match=r"must be a multiple of 2 × traces \(4\)"):
        GcpoConfig(**{**given, "batch_per_device": 6})


@pytest.mark.parametrize("kind", ["full", "adapters with KL", "some unparsed"])
def test_the_loss_is_the_expected_reward_and_unparsed_traces_learn_from_all_their_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Each score's probability, read off a tree, against TRL's reading of a row that states it."""
    losses = GcpoTrainer._all_scores_loss
    generate = GcpoTrainer._generate_and_score_completions
    seen: list[int] = []
    without: list[list[int]] = []  # traces without a score, by step

    def unparsed(self: GcpoTrainer, inputs: Any) -> Any:
        output = generate(self, inputs)
        if kind == "some unparsed":
            output["score_starts"][::3] = 0
            output["advantages"] = torch.linspace(-0.5, 0.5, len(output["advantages"]))
        without.append(output["score_starts"].eq(0).nonzero()[:, 0].tolist())
        return output

    def compared(self: GcpoTrainer, model: Any, inputs: Any, parsed: torch.Tensor) -> torch.Tensor:
        ours = losses(self, model, inputs, parsed)
        encode = self.processing_class.tokenizer.encode
        chosen = [0, 7, 35, 99, 100]
        by_score = []
        for score in chosen:
            stated = encode(format_score(SCORES[score]), add_special_tokens=False)
            by_score.append(_as_stated(self, model, inputs, stated))
        expected = torch.stack(by_score, dim=1).exp() * parsed[:, None]  # [traces, chosen]
        torch.testing.assert_close(probabilities[-1][:, chosen], expected, atol=1e-6, rtol=1e-3)
        assert probabilities[-1].sum() > 0
        seen.append(int(parsed.sum()))
        return ours

    probabilities: list[torch.Tensor] = []
    ratios = gcpo_ratios()

    def noted(by_pair: torch.Tensor) -> torch.Tensor:
        probabilities.append(by_pair.flatten(0, 2))
        return ratios(by_pair)

    surrogates: list[torch.Tensor] = []
    surrogate = GcpoTrainer._surrogate

    def watched(self: GcpoTrainer, model: Any, inputs: Any) -> torch.Tensor:
        surrogates.append(inputs["advantages"])
        return surrogate(self, model, inputs)

    monkeypatch.setattr(GcpoTrainer, "_generate_and_score_completions", unparsed)
    monkeypatch.setattr(GcpoTrainer, "_all_scores_loss", compared)
    monkeypatch.setattr(GcpoTrainer, "_surrogate", watched)
    monkeypatch.setattr("edit_rrm_training.gcpo.expected_win_ratios", noted)
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(4)])
    config = GcpoConfig(
        base=BUNDLED, out=tmp_path / "run", pairs=pairs, steps=2, traces=2, pairs_per_step=2,
        batch_per_device=8, max_trace_tokens=200, lr=1e-3, dtype="float32", temperature=1.3,
        gradient_checkpointing=False, equal_images=True, workers=0, credit="all_scores", share_prompts=True,
        lora=LoraSettings(rank=2, alpha=4) if kind == "adapters with KL" else None,
        kl=0.1 if kind == "adapters with KL" else 0.0,
    )  # fmt: skip
    assert run_gcpo(config) is not None
    assert len(seen) == 2
    assert min(seen) >= 4
    if kind == "some unparsed":
        assert [advantages.ne(0).nonzero()[:, 0].tolist() for advantages in surrogates] == without
        assert all({0, 3, 6} <= set(rows) for rows in without)


def gcpo_ratios() -> Any:
    from edit_rrm_training.win_ratio import expected_win_ratios

    return expected_win_ratios


def _as_stated(trainer: Any, model: Any, inputs: Any, stated: Sequence[int]) -> torch.Tensor:
    """Log-probability of these tokens behind each trace's evidence, [traces], by a plain row each."""
    found = []
    for row in range(len(inputs["completion_ids"])):
        start = max(1, int(inputs["score_starts"][row]))
        evidence = inputs["completion_ids"][row, :start]
        trace = torch.cat([evidence, torch.tensor(list(stated))])[None]
        ids = torch.cat([inputs["prompt_ids"][row, None], trace], dim=1)
        mask = torch.cat([inputs["prompt_mask"][row, None], torch.ones_like(trace)], dim=1)
        patches = inputs["image_grid_thw"].prod(dim=1)
        images = slice(2 * row, 2 * row + 2)
        first = int(patches[: 2 * row].sum())
        kinds = inputs["mm_token_type_ids"][row, None, : inputs["prompt_ids"].shape[1]]
        log_probs, _, _ = GRPOTrainer._get_per_token_logps_and_entropies(
            trainer, model, ids, mask, trace.shape[1],
            pixel_values=inputs["pixel_values"][first : first + int(patches[images].sum())],
            image_grid_thw=inputs["image_grid_thw"][images], num_images=[2],
            mm_token_type_ids=torch.nn.functional.pad(kinds, (0, trace.shape[1])),
        )  # fmt: skip
        found.append(log_probs[0, start:].sum())
    return torch.stack(found)
