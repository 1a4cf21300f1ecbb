"""How many good edits beat their bad ones: halves for ties, nothing for failures, photographs as units."""

import pytest

from edit_rrm.intervals import wilson_interval
from edit_rrm_client.bulk.rows import ResultRow
from photo_pairs import pairs, won


def row(edit: str, model: str, number: int, reward: float | None, photograph: str = "cat.jpg") -> ResultRow:
    said: dict[str, object] = {"status": "error", "error_code": "trace_unparseable"}
    if reward is not None:
        said = {"status": "ok", "reward": reward, "score": 10 * reward}
    return ResultRow.model_validate({
        "key": f"{edit}/{model}/{number}", "id": edit, "model": model, "candidate": number,
        "instruction": "make it blue", "source": photograph, **said,
    })  # fmt: skip


def test_a_good_edit_beats_ties_with_and_loses_against_bad_ones() -> None:
    rows = [
        row("a", "good", 0, 0.5),
        row("a", "bad", 0, 0.2),
        row("a", "bad", 1, 0.5),
        row("a", "bad", 2, 0.9),
    ]
    found = pairs(rows)
    assert [(pair.bad_key, pair.outcome) for pair in found] == [
        ("a/bad/0", 1),
        ("a/bad/1", 0.5),
        ("a/bad/2", 0),
    ]
    counted = won(found)
    assert (counted.won, counted.ties, counted.pairs) == (1.5, 1, 3)
    assert counted.share.startswith("0.50 (")


def test_what_has_no_reward_is_in_no_pair() -> None:
    good_failed = [row("a", "good", 0, None), row("a", "bad", 0, 0.1)]
    bad_failed = [row("b", "good", 0, 0.8), row("b", "bad", 0, None), row("b", "bad", 1, 0.3)]
    assert [pair.bad_key for pair in pairs([*good_failed, *bad_failed])] == ["b/bad/1"]


def test_a_reward_of_zero_is_a_reward() -> None:
    assert [pair.outcome for pair in pairs([row("a", "good", 0, 0.0), row("a", "bad", 0, 0.3)])] == [0.0]


def test_pairs_of_one_photograph_are_one_unit_of_the_interval() -> None:
    rows = [
        row(f"{name}{edit}", model, 0, reward, f"{name}.jpg")
        for name in ("cat", "dog", "cup")
        for edit in range(4)
        for model, reward in (("good", 0.9), ("bad", 0.1))
    ]
    counted = won(pairs(rows))
    assert (counted.won, counted.pairs) == (12, 12)
    assert counted.interval == pytest.approx(wilson_interval(3, 3))


def test_of_nothing_there_is_no_share() -> None:
    counted = won([])
    assert (counted.pairs, counted.interval, counted.share) == (0, None, "–")
