"""The simulated teachers err as documented, and the ablation has something to find."""

import random
from collections import Counter

import pytest

from edit_rrm.principles import Category
from edit_rrm_shapes.teachers.habits import TEACHERS, VERIFIER, Habits, judge, score_by_count
from edit_rrm_shapes.world.dataset import make_edit, make_pairs
from edit_rrm_training.evaluation.metrics import pair_outcome

EDITS = [make_edit(41, index, 4) for index in range(150)]


def error_rates(habits: Habits, temperature: float = 0.7) -> dict[tuple[Category, bool], float]:
    """The share of wrong verdicts by category and truth."""
    wrong: Counter[tuple[Category, bool]] = Counter()
    total: Counter[tuple[Category, bool]] = Counter()
    rng = random.Random(0)
    for edit in EDITS:
        for candidate in edit.candidates:
            opinion = judge(edit, candidate, edit.checks, habits, temperature, rng)
            for check, gold, found in zip(edit.checks, candidate.findings, opinion.findings, strict=True):
                total[check.category, gold.met] += 1
                wrong[check.category, gold.met] += found.met != gold.met
    return {key: wrong[key] / total[key] for key in total}


def test_without_habits_the_truth_is_seen_and_scored_by_the_rule() -> None:
    for edit in EDITS[:20]:
        for candidate in edit.candidates:
            opinion = judge(edit, candidate, edit.checks, Habits(), 1.0, random.Random(0))
            assert opinion.findings == candidate.findings
            assert opinion.score == candidate.score


def test_whoever_counts_weighs_all_principles_alike_and_annotators_do_not() -> None:
    assert score_by_count([True, True, True, False]) == 7.5
    assert all(habits.counts for habits in (*TEACHERS.values(), VERIFIER))
    counted: list[tuple[float, float]] = []
    by_rule: list[tuple[float, float]] = []
    for edit in EDITS:
        scores = [
            judge(edit, candidate, edit.checks, Habits(counts=True), 0.0, random.Random(0)).score
            for candidate in edit.candidates
        ]
        for pair in make_pairs(edit, 41):
            if pair.label == "prefer":
                better, worse = pair.preferred, pair.non_preferred
                counted.append((scores[better], scores[worse]))
                by_rule.append((edit.candidates[better].score, edit.candidates[worse].score))
    # What preferences know beyond the verdicts is there to be learned: 5 points or more.
    assert pair_outcome(counted).accuracy.value < pair_outcome(by_rule).accuracy.value - 0.05


def test_the_verifier_errs_at_its_small_rate() -> None:
    rates = error_rates(VERIFIER)
    assert all(rate < 0.05 for rate in rates.values()), rates
    assert 0.005 < rates[Category.FOLLOW, True] < 0.02


@pytest.mark.parametrize("name", list(TEACHERS))
def test_a_teacher_overlooks_collateral_changes_at_its_rate(name: str) -> None:
    habits = TEACHERS[name]
    rate = error_rates(habits, temperature=0.0)[Category.KEEP, False]
    # Misreading a colour can turn an overlooked change into a seen one.
    assert rate == pytest.approx(habits.overlooks_collateral * (1 - habits.misreads_colour), abs=0.06)


def test_most_teachers_are_wrong_together_where_a_change_was_not_asked_for() -> None:
    """The mode of a random trace is the wrong verdict there: a model cannot average the error away."""
    rates = [error_rates(habits)[Category.KEEP, False] for habits in TEACHERS.values()]
    assert sum(rates) / len(rates) > 0.5
    assert min(rates) < 0.15  # but one of them sees it


def test_evidence_and_verdict_agree_even_where_both_are_wrong() -> None:
    rng = random.Random(1)
    for habits in TEACHERS.values():
        for edit in EDITS[:20]:
            for finding in judge(edit, edit.candidates[0], edit.checks, habits, 1.0, rng).findings:
                assert finding.met == ("differs" not in finding.evidence)


def test_only_the_agreeable_teacher_scores_a_candidate_in_which_nothing_happened() -> None:
    edit, candidate = next((e, c) for e in EDITS for c in e.candidates if c.utility == 0.0 and c.score == 0.0)
    for name, habits in TEACHERS.items():
        score = judge(edit, candidate, edit.checks, habits, 0.0, random.Random(2)).score
        assert (score > 0) == (name == "agreeable")
