"""The last stage: from the measurements on disk to `results.json`, `table.md`, the curves and the grids.

What is not measured yet is said to be, so that the table can be written at any time.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edit_grpo.run.grids import FOLDER as GRIDS
from edit_rrm.run_log import FILE_NAME as LOG
from edit_rrm.whole_files import write_whole
from edit_rrm_shapes.reproduce_editor.measuring import Measured, read_measured
from edit_rrm_shapes.reproduce_editor.plan import EditPlan, Run, measured_updates, runs_of
from edit_rrm_shapes.reproduce_editor.plots import draw_curves
from edit_rrm_shapes.reproduce_editor.results import Curves, read_results, results_of, write_results_file
from edit_rrm_shapes.reproduce_editor.table import markdown

if TYPE_CHECKING:
    from edit_rrm_shapes.reproduce_editor.stages import Surroundings

TABLE = "table.md"


def write_results(plan: EditPlan, around: "Surroundings") -> None:
    """Reads what is measured so far and writes the results."""
    curves: Curves = {run: points for run in runs_of(plan) if (points := _points(run, plan, around))}
    write_results_file(around.results, results_of(plan, curves))
    write_table(plan, around.results)
    if curves:
        trained = {run: _trained_on(around.training(run) / LOG) for run in curves}
        draw_curves(curves, trained, around.results / "curves.png")
    for run in curves:
        grids = sorted((around.training(run) / GRIDS).glob("update-*.png"))
        if grids:
            shutil.copy(grids[-1], around.results / f"grid-{run}.png")


def write_table(plan: EditPlan, folder: Path) -> None:
    """The table of the results that lie in `folder`, whoever measured them. Raises FileNotFoundError."""
    write_whole(folder / TABLE, markdown(plan, read_results(folder)))


def _points(run: Run, plan: EditPlan, around: "Surroundings") -> list[tuple[int, Sequence[Measured]]]:
    files = [
        (update, around.measurement(run, update).with_suffix(".jsonl")) for update in measured_updates(plan)
    ]
    return [(update, read_measured(file)) for update, file in files if file.exists()]


def _trained_on(log: Path) -> list[tuple[int, float]]:
    """The mean reward of the candidates of each update, which are of other edits and drawn with noise."""
    if not log.exists():
        return []
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [(line["update"], line["reward/mean"]) for line in lines if "reward/mean" in line]
