"""Step 5 on files: writes the SFT rows of every variant. Whole and anew each time; it takes no endpoint."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edit_rrm_training.data.jsonl import whole_file
from edit_rrm_training.data.pictures import rebased
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.pipeline.grouped import Grouped
from edit_rrm_training.pipeline.rows import DecomposedEdit, FailedRow, GoldRow, Quadruple, TraceRow
from edit_rrm_training.pipeline.select import (
    Variant,
    agreement,
    best_trace,
    decompose_row,
    random_trace,
    sft_row,
)


@dataclass(frozen=True)
class SelectReport:
    """What was kept, and how well the kept traces agree with gold verdicts."""

    quadruples: int
    left_out: int
    decompositions: int
    think_agreement: float
    think_verify_agreement: float
    teachers: dict[str, int]
    """How often each teacher's trace was kept by `think+verify`."""

    def __str__(self) -> str:
        kept = ", ".join(f"{name} {count}" for name, count in sorted(self.teachers.items()))
        return (
            f"{self.quadruples} quadruples, {self.left_out} left out, {self.decompositions} decompositions; "
            f"verdicts that agree with gold: think {self.think_agreement:.3f}, "
            f"think+verify {self.think_verify_agreement:.3f} ({kept})"
        )


def select(
    quadruples: Path, traces: Path, gold: Path, decomposed: Path, out: Path, *, seed: int,
    on_done: Callable[[], None] = lambda: None,
) -> SelectReport:  # fmt: skip
    """Writes `VARIANT.jsonl` for each variant, `decompose.jsonl`, and `left-out.jsonl`.

    The last holds the quadruples without a trace or without gold verdicts: they are in no variant, so that
    all variants learn from the same quadruples. Rows are in the order of their ids: in which order endpoints
    answered changes nothing.
    """
    kept: Counter[str] = Counter()
    verdicts = think_hits = best_hits = left_out = 0

    def moved(row: SftRow, home: Path) -> SftRow:
        pictures = {
            field: value if value is None else rebased(value, home, out)
            for field, value in (("source", row.source), ("candidate", row.candidate))
        }
        return row.model_copy(update=pictures)

    with ExitStack() as stack:
        written = stack.enter_context(Grouped(traces, TraceRow))
        judged = stack.enter_context(Grouped(gold, GoldRow))
        files = {v: stack.enter_context(whole_file(out / f"{v.value}.jsonl")) for v in Variant}
        failures = stack.enter_context(whole_file(out / "left-out.jsonl"))
        asked = stack.enter_context(Grouped(quadruples, Quadruple, "id"))
        for quadruple in asked.rows():
            own, golds = written.of(quadruple.id), judged.of(quadruple.id)
            on_done()
            if not own or not golds:
                left_out += 1
                missing = "no trace" if golds else "no gold verdicts"
                failure = FailedRow(id=quadruple.id, step="select", kind="missing", reason=missing)
                failures.write(failure.model_dump_json(exclude_defaults=True) + "\n")
                continue
            for variant, file in files.items():
                row = moved(sft_row(variant, quadruple, own, golds[0], seed), quadruples.parent)
                file.write(row.model_dump_json(exclude_none=True) + "\n")
            best = best_trace(own, golds[0])
            kept[best.teacher] += 1
            verdicts += len(best.verdicts)
            best_hits += agreement(best, golds[0])
            think_hits += agreement(random_trace(own, seed), golds[0])
        decompositions = 0
        lines = stack.enter_context(whole_file(out / "decompose.jsonl"))
        edits = stack.enter_context(Grouped(decomposed, DecomposedEdit, "id"))
        for edit in edits.rows():
            decompositions += 1
            row = moved(decompose_row(edit), decomposed.parent)
            lines.write(row.model_dump_json(exclude_none=True) + "\n")
    total = max(1, verdicts)
    return SelectReport(
        sum(kept.values()), left_out, decompositions, think_hits / total, best_hits / total, dict(kept)
    )
