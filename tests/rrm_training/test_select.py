"""The paper's rule, by hand."""

import random

import pytest

from edit_rrm.principles import numbered
from edit_rrm.traces import parse_trace
from edit_rrm_training.data.score_only import parse_score
from edit_rrm_training.pipeline.rows import GoldRow, Quadruple, TraceRow
from edit_rrm_training.pipeline.select import Variant, agreement, best_trace, random_trace, sft_row

PRINCIPLES = numbered([("follow", "Is it blue?"), ("keep", "Is it round?"), ("quality", "Is it clean?")])
QUADRUPLE = Quadruple(
    id="q", edit="e", instruction="make it blue", source="s.png", candidate="c.png", principles=PRINCIPLES,
    editor="hand",
)  # fmt: skip
GOLD = GoldRow(
    id="q", quadruple="q", verdicts=(True, True, False), evidence=("a", "b", "c"), score=6.0, verifier="judge"
)


def trace(number: int, verdicts: str, score: float) -> TraceRow:
    return TraceRow(
        id=f"q#{number}", quadruple="q", number=number, teacher=f"teacher {number}",
        verdicts=tuple(v == "1" for v in verdicts), evidence=tuple(f"seen {v}" for v in verdicts),
        score=score,
    )  # fmt: skip


def test_the_trace_that_agrees_most_with_gold_is_kept() -> None:
    traces = [trace(0, "111", 9.0), trace(1, "110", 1.0), trace(2, "100", 9.0)]
    assert [agreement(t, GOLD) for t in traces] == [2, 3, 2]
    assert best_trace(traces, GOLD).number == 1


def test_ties_go_to_the_higher_average_then_the_higher_score_then_the_smaller_index() -> None:
    assert best_trace([trace(0, "100", 9.0), trace(1, "111", 1.0)], GOLD).number == 1  # 2 agree; average 3/3
    assert best_trace([trace(0, "010", 3.0), trace(1, "100", 4.0)], GOLD).number == 1  # average 1/3 both
    assert best_trace([trace(1, "100", 4.0), trace(0, "010", 4.0)], GOLD).number == 0


def test_the_order_of_the_traces_changes_nothing() -> None:
    traces = [trace(n, f"{n % 2}{n // 2 % 2}{n // 4 % 2}", n / 2) for n in range(8)]
    best, drawn = best_trace(traces, GOLD), random_trace(traces, 3)
    for seed in range(20):
        shuffled = random.Random(seed).sample(traces, len(traces))
        assert (best_trace(shuffled, GOLD), random_trace(shuffled, 3)) == (best, drawn)


def test_a_random_trace_is_any_of_them() -> None:
    traces = [trace(n, "111", 1.0) for n in range(3)]
    assert {random_trace(traces, seed).number for seed in range(40)} == {0, 1, 2}


def test_traces_that_judge_another_number_of_principles_are_no_ties() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        best_trace([trace(0, "11", 3.0)], GOLD)


def test_each_variant_learns_what_its_name_says() -> None:
    traces = [trace(0, "111", 9.0), trace(1, "110", 7.5)]
    rows = {variant: sft_row(variant, QUADRUPLE, traces, GOLD, seed=0) for variant in Variant}
    kept = parse_trace(rows[Variant.THINK_VERIFY].completion, 3)
    assert [v.evidence for v in kept.verdicts] == ["seen 1", "seen 1", "seen 0"]
    assert (kept.score, rows[Variant.THINK_VERIFY].teacher) == (7.5, "teacher 1")
    bare = parse_trace(rows[Variant.VERIFY].completion, 3)
    assert [(v.evidence, v.met) for v in bare.verdicts] == [("-", True), ("-", True), ("-", False)]
    assert (bare.score, rows[Variant.VERIFY].teacher) == (6.0, "judge")
    scorer = rows[Variant.SCORE_ONLY]
    assert (parse_score(scorer.completion), scorer.principles, scorer.task) == (6.0, None, "score_only")
    assert rows[Variant.THINK].completion in {
        sft_row(Variant.THINK_VERIFY, QUADRUPLE, [t], GOLD, 0).completion for t in traces
    }
    assert len({row.id for row in rows.values()}) == len(Variant)
