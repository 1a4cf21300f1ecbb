"""What could GCPO add to a model that sees perfectly and scores as its SFT rows do, and what would it draw?

    PYTHONPATH=benchmarks .venv/bin/python research/gcpo_headroom.py \\
        --rows runs/reproduce/data/sft/think+verify.jsonl

No model: a trace's score is drawn from the scores that the rows give to the same share of verdicts met
(teachers count: docs/rrm-data.md), and read greedily as a decoder reads it, the most frequent integer part
first. Printed: pairwise accuracy on pairs of world 1000 as the annotator labels them, by that greedy score,
by the mean of the distribution, by the counted score, by the gold rule, and by utility; then, for N traces
and for pairs whose counted scores differ by less than a bound, the share of pairs without gradient and the
mean reward.
"""

import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table
from rig.report import console

from edit_rrm.traces import parse_trace
from edit_rrm_shapes.teachers.habits import score_by_count
from edit_rrm_shapes.world.dataset import Candidate, EditRecord, make_edit, make_pairs
from edit_rrm_shapes.world.gold import is_no_edit
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.sft_rows import SftRow, read_sft_rows
from edit_rrm_training.evaluation.metrics import pair_outcome
from edit_rrm_training.gcpo.credit.win_ratio import report

WORLD = 1000
BOUNDS = (12.0, 4.0, 3.0, 2.0)
Scores = Mapping[float, Counter[float]]
"""By the counted score of a trace's verdicts: how often the rows gave each score."""


def scores_by_count(rows: Iterator[SftRow], most: int) -> Scores:
    """Counts the scores of the first `most` verify rows."""
    counted: dict[float, Counter[float]] = defaultdict(Counter)
    for _, row in zip(range(most), rows, strict=False):
        picture = ShapesRef.parse(row.candidate or "")
        assert picture is not None
        assert picture.candidate is not None
        assert row.principles is not None
        trace = parse_trace(row.completion, len(row.principles))
        edit = picture.edit()
        met = [verdict.met for verdict in trace.verdicts]
        counted[_counted(edit, edit.candidates[picture.candidate], met)][trace.score] += 1
    return counted


def of(scores: Scores, edit: EditRecord, candidate: Candidate) -> Counter[float]:
    """The distribution for a candidate's gold verdicts, or for the nearest share met that was seen."""
    wanted = _gold_counted(edit, candidate)
    return scores[min(scores, key=lambda seen: abs(seen - wanted))]


def _counted(edit: EditRecord, candidate: Candidate, met: Sequence[bool]) -> float:
    """What a teacher who counts would give without error; −1 where nothing happened: most give 0 there."""
    return -1.0 if is_no_edit(edit.source, candidate.scene) else score_by_count(met)


def _gold_counted(edit: EditRecord, candidate: Candidate) -> float:
    return _counted(edit, candidate, [finding.met for finding in candidate.findings])


def greedy(counts: Counter[float]) -> float:
    """The most frequent integer part, then the most frequent score with it."""
    whole = Counter[int]()
    for score, count in counts.items():
        whole[int(score)] += count
    first = whole.most_common(1)[0][0]
    return max((score for score in counts if int(score) == first), key=lambda score: counts[score])


def main(
    rows: Annotated[Path, typer.Option(help="think+verify.jsonl of the data pipeline.", exists=True)],
    edits: Annotated[int, typer.Option(min=1, help="Edits of world 1000.")] = 600,
    most: Annotated[int, typer.Option(min=1, help="Rows that are read.")] = 24_000,
) -> None:
    """See the module."""
    scores = scores_by_count(read_sft_rows(rows), most)
    pairs = [
        ((edit, edit.candidates[pair.preferred]), (edit, edit.candidates[pair.non_preferred]))
        for edit in (make_edit(WORLD, index, 4) for index in range(edits))
        for pair in make_pairs(edit, WORLD)
        if pair.label == "prefer"
    ]
    readings: dict[str, Callable[[EditRecord, Candidate], float]] = {
        "greedy, as SFT teaches": lambda e, c: greedy(of(scores, e, c)),
        "the counted score": _gold_counted,
        "mean of the distribution": lambda e, c: statistics.fmean(of(scores, e, c).elements()),
        "the rule's score": lambda e, c: c.score,
        "utility": lambda e, c: c.utility,
    }
    table = Table("score", "pairs right", "tied", "n")
    for name, score in readings.items():
        outcome = pair_outcome((score(*one), score(*other)) for one, other in pairs)
        table.add_row(name, f"{outcome.accuracy.value:.3f}", f"{outcome.ties.value:.3f}", str(len(pairs)))
    console.print(table)
    rng = random.Random(0)
    table = Table("scores differ by less than", "share of pairs", "N", "no gradient", "reward")
    for bound in BOUNDS:
        close = [pair for pair in pairs if abs(_gold_counted(*pair[0]) - _gold_counted(*pair[1])) < bound]
        for traces in (4, 8, 16):
            drawn = torch.tensor([
                [_draw(of(scores, *judged), traces, rng) for judged in pair] for pair in close
            ])  # fmt: skip
            found = report(drawn, torch.ones_like(drawn))
            table.add_row(f"{bound:g}", f"{len(close) / len(pairs):.2f}", str(traces),
                          f"{found.no_gradient:.2f}", f"{found.reward:.3f}")  # fmt: skip
    console.print(table)


def _draw(counts: Counter[float], count: int, rng: random.Random) -> list[float]:
    return rng.choices(list(counts), list(counts.values()), k=count)


if __name__ == "__main__":
    typer.run(main)
