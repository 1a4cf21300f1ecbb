"""Step 5: which trace of a quadruple is learned. Pure and deterministic (docs/paper.md, Stage 1, step 5).

`think+verify` keeps the trace whose verdicts agree most with gold; ties go to the higher average score, then
the higher final score, then the smaller index. `think` keeps a random trace. `verify` keeps the verifier's
verdicts and score without any reasoning. `score-only` keeps the verifier's score alone, for the baseline.
"""

import random
from collections.abc import Sequence
from enum import StrEnum

from edit_rrm.judges.trained import principle_lines
from edit_rrm.traces import render_trace
from edit_rrm_training.data.score_only import render_score
from edit_rrm_training.data.sft_rows import NO_EVIDENCE, SftRow
from edit_rrm_training.pipeline.rows import DecomposedEdit, GoldRow, Judgement, Quadruple, TraceRow


class Variant(StrEnum):
    """The ablation's training sets."""

    THINK = "think"
    VERIFY = "verify"
    THINK_VERIFY = "think+verify"
    SCORE_ONLY = "score-only"


def agreement(trace: Judgement, gold: Judgement) -> int:
    """How many verdicts are as gold has them. Raises ValueError when the two judge different numbers."""
    return sum(a == b for a, b in zip(trace.verdicts, gold.verdicts, strict=True))


def best_trace(traces: Sequence[TraceRow], gold: GoldRow) -> TraceRow:
    """The trace kept by the paper's rule. Raises ValueError for no traces."""
    return max(traces, key=lambda t: (agreement(t, gold), sum(t.verdicts), t.score, -t.number))


def random_trace(traces: Sequence[TraceRow], seed: int) -> TraceRow:
    """A trace drawn by seed and quadruple alone: the order of the traces does not matter."""
    ordered = sorted(traces, key=lambda trace: trace.number)
    return random.Random(f"think-{seed}-{ordered[0].quadruple}").choice(ordered)


def sft_row(
    variant: Variant, quadruple: Quadruple, traces: Sequence[TraceRow], gold: GoldRow, seed: int
) -> SftRow:
    """The row of a quadruple in the training set of a variant."""
    kept: Judgement
    match variant:
        case Variant.THINK:
            kept = random_trace(traces, seed)
        case Variant.THINK_VERIFY:
            kept = best_trace(traces, gold)
        case _:
            kept = gold
    evidence = kept.evidence if isinstance(kept, TraceRow) else [NO_EVIDENCE] * len(kept.verdicts)
    scored = variant is Variant.SCORE_ONLY
    return SftRow(
        id=f"{variant}:{quadruple.id}",
        task="score_only" if scored else "verify",
        instruction=quadruple.instruction,
        source=quadruple.source,
        candidate=quadruple.candidate,
        principles=None if scored else quadruple.principles,
        completion=render_score(kept.score)
        if scored
        else render_trace(list(zip(evidence, kept.verdicts, strict=True)), kept.score),
        teacher=kept.teacher if isinstance(kept, TraceRow) else gold.verifier,
        selection=variant,
        category=quadruple.category,
    )


def decompose_row(edit: DecomposedEdit) -> SftRow:
    """The decomposition of an edit as a row; it is the same for all variants."""
    return SftRow(
        id=f"decompose:{edit.id}",
        task="decompose",
        instruction=edit.instruction,
        source=edit.source,
        completion=principle_lines([(p.category, p.question) for p in edit.principles]),
        teacher=edit.endpoint,
        selection="decompose",
        category=edit.category,
    )
