"""Decomposing beforehand the pairs that come without principles."""

from collections.abc import Sequence
from pathlib import Path

from edit_rrm.judges import TrainedProfile
from edit_rrm.prompts import Prompt
from edit_rrm_training.data.principles_store import StoredPrinciples, by_prompts, with_principles
from shapes_rows import pair

GOOD = "1. follow: Is it red?\n2. keep: Is the rest unchanged?\n3. quality: Is it clean?"


class Scripted:
    """Answers in turn, and counts what it was asked."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked = 0

    def __call__(self, asked: Sequence[tuple[Prompt, str | bytes]]) -> list[str]:
        self.asked += len(asked)
        return [self.texts.pop(0) for _ in asked]


def test_pairs_of_one_edit_share_a_decomposition_that_is_asked_for_once(tmp_path: Path) -> None:
    pairs = [
        pair(0, with_principles=False),
        pair(0, with_principles=False).model_copy(update={"id": "again"}),
        pair(1),
    ]
    store = tmp_path / "principles.jsonl"
    complete = Scripted(GOOD)
    found = with_principles(pairs, store, by_prompts(TrainedProfile(), complete))
    assert complete.asked == 1
    questions = [[p.question for p in one.principles or ()] for one in found.pairs]
    assert questions[0] == questions[1] == ["Is it red?", "Is the rest unchanged?", "Is it clean?"]
    assert found.pairs[2] == pairs[2]
    assert with_principles(pairs, store, by_prompts(TrainedProfile(), Scripted())) == found


def test_an_unusable_decomposition_leaves_its_pairs_out_with_its_reason(tmp_path: Path) -> None:
    store = tmp_path / "principles.jsonl"
    pairs = [pair(0, with_principles=False), pair(1, with_principles=False)]
    found = with_principles(pairs, store, by_prompts(TrainedProfile(), Scripted("no idea", GOOD)))
    assert [one.id for one in found.pairs] == ["pair-1"]
    assert found.left_out == 1
    stored = [StoredPrinciples.model_validate_json(line) for line in store.read_text().splitlines()]
    assert stored[0].principles is None
    assert "no idea" in (stored[0].problem or "")


def test_a_store_that_a_kill_cut_short_is_written_on(tmp_path: Path) -> None:
    store = tmp_path / "principles.jsonl"
    pairs = [pair(0, with_principles=False), pair(1, with_principles=False)]
    with_principles(pairs, store, by_prompts(TrainedProfile(), Scripted(GOOD, GOOD)))
    whole = store.read_text()
    store.write_text(whole[:-20])
    complete = Scripted(GOOD)
    assert len(with_principles(pairs, store, by_prompts(TrainedProfile(), complete)).pairs) == 2
    assert complete.asked == 1
    assert store.read_text() == whole
