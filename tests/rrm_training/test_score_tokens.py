"""The tokens that state a trace's score, and a run whose advantages teach these alone."""

from pathlib import Path
from typing import Any

import pytest
from shapes_rows import pair, write_lines

from edit_rrm_training.gcpo.credit.score_tokens import states_score
from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.runs.settings import GcpoConfig

BUNDLED = Path(__file__).parents[2] / "server" / "edit_rrm_server" / "models" / "edit-rrm-tiny"


@pytest.mark.parametrize(
    ("tokens", "stating"),
    [
        (["0 ", "<score", ">", "7", ".", "3", "</", "score", ">", "<end>"], ["7", ".", "3"]),
        (["0 ", "<sc", "ore>1", "0.", "0</sc", "ore>"], ["ore>1", "0.", "0</sc"]),
        (["<score>", "1", "</score>", "<score>", "9", "."], ["9", "."]),
        (["<score>", "</score>"], []),
        (["no", " score"], []),
        ([], []),
    ],
)
def test_what_stands_between_the_last_tags_states_the_score(tokens: list[str], stating: list[str]) -> None:
    found = states_score(tokens)
    assert len(found) == len(tokens)
    assert [token for token, states in zip(tokens, found, strict=True) if states] == stating


def test_a_parsed_trace_teaches_its_score_and_another_all_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = GcpoTrainer._generate_and_score_completions
    lengths: list[tuple[bool, int, int]] = []  # whether it parses, tokens, tokens that learn
    tokens_with_gradient: list[float] = []

    def noted(self: GcpoTrainer, inputs: Any) -> Any:
        output = generate(self, inputs)
        for row, ids, real, learns in zip(
            inputs, output["completion_ids"], output["completion_mask"], output["tool_mask"], strict=True
        ):
            text = self.processing_class.decode(ids, skip_special_tokens=True)
            parses = self._score(text, row["principles"]) >= 0.0
            lengths.append((parses, int(real.sum()), int((real * learns).sum())))
            if parses:
                stated = text.rpartition("<score>")[2].partition("<")[0]
                assert self.processing_class.decode(ids[learns.bool()]) == stated
        return output

    score = GcpoTrainer._get_per_token_logps_and_entropies

    def watched(self: GcpoTrainer, *args: Any, **fields: Any) -> Any:
        log_probs, entropies, nothing = score(self, *args, **fields)
        log_probs.register_hook(
            lambda gradient: tokens_with_gradient.append(gradient.ne(0).sum(dim=1).max().item())
        )
        return log_probs, entropies, nothing

    monkeypatch.setattr(GcpoTrainer, "_generate_and_score_completions", noted)
    monkeypatch.setattr(GcpoTrainer, "_get_per_token_logps_and_entropies", watched)
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(4)])
    config = GcpoConfig(
        base=BUNDLED, out=tmp_path / "run", pairs=pairs, steps=1, traces=2, pairs_per_step=4,
        batch_per_device=16, max_trace_tokens=200, lr=1e-4, dtype="float32", temperature=1.3,
        gradient_checkpointing=False, equal_images=True, workers=0, credit="score",
    )  # fmt: skip
    assert run_gcpo(config) is not None
    parsed = [learning for parses, _, learning in lengths if parses]
    assert len(parsed) >= 8
    assert set(parsed) <= {3, 4}
    assert all(learning == tokens for parses, tokens, learning in lengths if not parses)
    longest = max([4, *(tokens for parses, tokens, _ in lengths if not parses)])
    assert 0 < max(tokens_with_gradient) <= longest
