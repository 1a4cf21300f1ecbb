"""The last stage: from evaluations and records on disk to `results.json`, `table.md`, the plots and a file a
model (published.py).

What is not measured yet is said to be, so that the table can be written at any time.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edit_rrm_shapes.reproduce_rrm.caveats import caveats
from edit_rrm_shapes.reproduce_rrm.comparing import Claim, Difference, check, claims_of
from edit_rrm_shapes.reproduce_rrm.graph import Model, graph, models_of
from edit_rrm_shapes.reproduce_rrm.outcomes import JudgedPair, accuracy, by_category
from edit_rrm_shapes.reproduce_rrm.plan import Plan
from edit_rrm_shapes.reproduce_rrm.plots import Curve, write_plots
from edit_rrm_shapes.reproduce_rrm.published import Published, publish, read_log, read_measured, without_model
from edit_rrm_shapes.staged.state import StageRecord, StageStates
from edit_rrm_shapes.staged.verdicts import MEANING
from edit_rrm_training.data.jsonl import whole_file
from edit_rrm_training.evaluation.metrics import PairOutcome

NOTE = (
    "Pairwise accuracy on held-out pairs as the simulated annotator prefers, ties and unparsed traces wrong, "
    "greedy traces; ρ is Spearman's, of score with gold utility. Intervals of single models are Wilson's, "
    "those of differences take edits as units (shapes/edit_rrm_shapes/reproduce_rrm/comparing.py). All "
    "models of one size start from one description-trained base. GCPO's seeds start from one T+V checkpoint "
    "and differ in the order of pairs and in sampling; T+V itself, read greedily, is that one checkpoint. "
    f"{MEANING}"
)


@dataclass(frozen=True)
class Measured:
    """A row of the table: a model's outcomes and its evaluation as JSON."""

    model: Model
    found: Published

    @property
    def name(self) -> str:
        """With its size."""
        return f"{self.model.size.upper()} {self.model.name}"

    @property
    def outcomes(self) -> Sequence[JudgedPair]:
        """Of the test pairs."""
        return self.found.outcomes

    @property
    def evaluation(self) -> dict[str, Any]:
        """As `edit-rrm-train evaluate` writes it."""
        return self.found.evaluation

    @property
    def pairs(self) -> PairOutcome:
        """Accuracy and ties."""
        return accuracy(self.outcomes)

    def share(self, measure: str) -> dict[str, Any] | None:
        """A share of the evaluation by its name."""
        found: dict[str, Any] | None = self.evaluation["measures"].get(measure)
        return found

    @property
    def spearman(self) -> float | None:
        """Of score with gold utility."""
        value: float | None = self.evaluation["details"]["spearman_of_score_with_utility"]
        return value

    @property
    def ece(self) -> float | None:
        """Of verdict probabilities; None for a scorer."""
        value: float | None = self.evaluation["details"]["calibration"].get("all", {}).get("ece")
        return value


def write_results(plan: Plan, out: Path, results: Path) -> None:
    """Reads what `out` holds and writes the results. Raises RowError for a file that is not its own."""
    rows = [(model, read_measured(out, model)) for model in models_of(plan)]
    known = [Measured(model, found) for model, found in rows if found is not None]
    outcomes = {row.model: row.outcomes for row in known}
    checked = [(claim, check(claim, outcomes)) for claim in claims_of(plan)]
    said = caveats(plan, outcomes)
    states = StageStates(out)
    found = [
        states.read(stage.name)
        if stage.kind not in ("data", "base")
        else without_model(stage, out, results, plan)
        for stage in graph(plan)
    ]
    records = [record for record in found if record is not None]
    _write(results / "results.json", json.dumps(_as_json(said, known, checked, records), indent=2) + "\n")
    _write(results / "table.md", _markdown(plan, said, known, checked, records))
    bars = [(row.name, row.pairs.accuracy) for row in known]
    curves = [
        Curve(f"{model.size.upper()} {model.name}", read_log(out / model.stage))
        for model in models_of(plan)
        if model.seed is not None
    ]
    for row in known:
        publish(results, row.model, row.found)
    write_plots(results, bars, [curve for curve in curves if curve.lines])


def _write(file: Path, text: str) -> None:
    with whole_file(file) as whole:
        whole.write(text)


def _as_json(
    said: Sequence[str],
    measured: Sequence[Measured],
    checked: Sequence[tuple[Claim, Difference | None]],
    records: Sequence[StageRecord],
) -> dict[str, Any]:
    return {
        "before_reading": list(said),
        "note": NOTE,
        "models": [
            {
                "size": row.model.size,
                "variant": row.model.name,
                "pairs": row.pairs.as_dict(),
                "pairs_by_category": {k: v.as_dict() for k, v in by_category(row.outcomes).items()},
                "measures": row.evaluation["measures"],
                "spearman_of_score_with_utility": row.spearman,
                "ece_of_verdict_probabilities": row.ece,
            }
            for row in measured
        ],
        "claims": [
            {
                "claim": claim.text,
                "verdict": claim.answer(found),
                "difference": None if found is None else asdict(found),
            }
            for claim, found in checked
        ],
        "stages": [record.model_dump(mode="json", exclude_none=True) for record in records],
    }


def _markdown(
    plan: Plan,
    said: Sequence[str],
    measured: Sequence[Measured],
    checked: Sequence[tuple[Claim, Difference | None]],
    records: Sequence[StageRecord],
) -> str:
    missing = [str(m) for m in models_of(plan) if m not in {row.model for row in measured}]
    parts = ["# The paper's table in miniature", "\n".join(f"- {sentence}" for sentence in said), NOTE]
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)}.")
    parts += [_model_table(measured), _claim_table(checked), _category_table(measured), _hours(records)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _model_table(measured: Sequence[Measured]) -> str:
    lines = [
        "| size | model | pairs right | n | tied | traces that parse | verdicts right (n) | ρ | ECE |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in measured:
        verdicts = row.share("verdict accuracy, all")
        parsed = row.share("traces that parse") or {"value": float("nan")}
        lines.append(
            f"| {row.model.size.upper()} | {row.model.name} | {_percent(row.pairs)} "
            f"| {row.pairs.accuracy.total} | {100 * row.pairs.ties.value:.1f} | {100 * parsed['value']:.1f} "
            f"| {'–' if verdicts is None else _verdicts(verdicts)} "
            f"| {_number(row.spearman)} | {_number(row.ece)} |"
        )
    return "\n".join(lines)


def _claim_table(checked: Sequence[tuple[Claim, Difference | None]]) -> str:
    lines = ["| expected | verdict | difference, points | pairs (edits) |", "|---|---|---|---|"]
    for claim, found in checked:
        size = "" if found is None else f"{found.pairs} ({found.edits})"
        lines.append(f"| {claim.text} | {claim.answer(found)} | {found or ''} | {size} |")
    return "\n".join(lines)


def _category_table(measured: Sequence[Measured]) -> str:
    if not measured:
        return ""
    kinds = list(by_category(measured[0].outcomes).items())
    names = [f"{kind} ({outcome.accuracy.total})" for kind, outcome in kinds]
    lines = [f"| pairs right by category | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in measured:
        cells = [f"{_percent(outcome)}" for outcome in by_category(row.outcomes).values()]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _hours(records: Sequence[StageRecord]) -> str:
    lines = ["| stage | hours | CPU hours | runs |", "|---|---|---|---|"]
    lines += [
        f"| {r.stage} | {r.wall_s / 3600:.2f} | {r.cpu_s / 3600:.2f} | {r.runs} |" for r in records if r.done
    ]
    total = [sum(r.wall_s for r in records), sum(r.cpu_s for r in records)]
    lines.append(f"| all | {total[0] / 3600:.2f} | {total[1] / 3600:.2f} | |")
    return "\n".join(lines)


def _percent(outcome: PairOutcome) -> str:
    low, high = outcome.accuracy.interval
    return f"{100 * outcome.accuracy.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _verdicts(found: dict[str, Any]) -> str:
    low, high = found["interval95"]
    return f"{100 * found['value']:.1f} [{100 * low:.1f}, {100 * high:.1f}] ({found['n']})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
