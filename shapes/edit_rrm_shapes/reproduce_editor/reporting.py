"""The last stage: from the measurements on disk to `results.json`, `table.md`, the curves and the grids.

What is not measured yet is said to be, so that the table can be written at any time.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edit_grpo.run.grids import FOLDER as GRIDS
from edit_rrm.intervals import Share, share
from edit_rrm.run_log import FILE_NAME as LOG
from edit_rrm_shapes.reproduce_editor.measuring import Measured, read_measured
from edit_rrm_shapes.reproduce_editor.plan import EditPlan, Reward, Run, measured_updates, runs_of
from edit_rrm_shapes.reproduce_editor.plots import Curves, draw_curves
from edit_rrm_shapes.reproduce_editor.statistics import Gain, denied, fooled, gain, mean_of

if TYPE_CHECKING:
    from edit_rrm_shapes.reproduce_editor.stages import Surroundings

CATEGORIES = ("follow", "keep", "quality")
WANTED_GAIN = 0.15
NAMES: dict[Reward, str] = {"gcpo": "GCPO", "sft": "SFT"}
NOTE = (
    "Held-out edits, one picture each, sampled by the ODE with the same noise before and after. Success: "
    "every follow and keep verdict of the oracle is met; utility is the oracle's, 0 to 10; reward is the "
    "mean of the reward model the run was trained on, asked with the gold principles. Intervals of shares "
    "are Wilson's, those of gains take edits as units. Fooled: of the principles the oracle finds not met, "
    "the share that the reward model finds met. Denied: of those it finds met, the share that the model "
    "finds not met. The curves' last panel is the reward of the candidates that were trained on."
)


def write_results(plan: EditPlan, around: "Surroundings") -> None:
    """Reads what is measured so far and writes the results."""
    curves: Curves = {run: points for run in runs_of(plan) if (points := _points(run, plan, around))}
    claims = _claims(plan, curves)
    around.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_as_json(curves, claims), indent=2) + "\n"
    (around.results / "results.json").write_text(text, encoding="utf-8")
    (around.results / "table.md").write_text(_markdown(plan, curves, claims), encoding="utf-8")
    if curves:
        trained = {run: _trained_on(around.training(run) / LOG) for run in curves}
        draw_curves(curves, trained, around.results / "curves.png")
    for run in curves:
        grids = sorted((around.training(run) / GRIDS).glob("update-*.png"))
        if grids:
            shutil.copy(grids[-1], around.results / f"grid-{run}.png")


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


def _success(rows: Sequence[Measured]) -> list[float]:
    return [float(one.success) for one in rows]


def _claims(plan: EditPlan, curves: Curves) -> dict[str, tuple[Gain, bool] | None]:
    """What has to come out, with whether it did; None while a run it needs is not measured to its end."""
    ended = {
        run: points for run, points in curves.items() if points[0][0] == 0 and points[-1][0] == plan.updates
    }

    def of(reward: Reward) -> list[Run]:
        runs = [run for run in runs_of(plan) if run.reward == reward]
        return runs if all(run in ended for run in runs) else []

    claims: dict[str, tuple[Gain, bool] | None] = {}
    for reward in plan.rewards:
        found = None
        if runs := of(reward):
            found = gain(
                [_success(ended[run][0][1]) for run in runs], [_success(ended[run][-1][1]) for run in runs]
            )
        claims[f"{NAMES[reward]}: success after training − before, at least {WANTED_GAIN:.2f}"] = (
            None if found is None else (found, found.value >= WANTED_GAIN and found.low > 0.0)
        )
    if len(plan.rewards) == 2:
        trained = [[_success(ended[run][-1][1]) for run in of(reward)] for reward in ("sft", "gcpo")]
        found = gain(trained[0], trained[1]) if all(trained) else None
        claims["success after GCPO's reward − after SFT's, at least 0"] = (
            None if found is None else (found, found.value >= 0.0)
        )
    return claims


def _as_json(curves: Curves, claims: dict[str, tuple[Gain, bool] | None]) -> dict[str, Any]:
    return {
        "claims": {
            name: None if found is None else {**asdict(found[0]), "came_out": found[1]}
            for name, found in claims.items()
        },
        "runs": {
            str(run): [
                {
                    "update": update, "edits": len(rows),
                    "success": share(one.success for one in rows).value,
                    "utility": mean_of(one.utility for one in rows),
                    "reward": mean_of(one.reward for one in rows),
                    "unscored": sum(one.reward is None for one in rows),
                    "fooled": {name: asdict(fooled(rows, name)) for name in CATEGORIES},
                    "denied": {name: asdict(denied(rows, name)) for name in CATEGORIES},
                    "success_of": {
                        name: share(one.success for one in rows if one.category == name).value
                        for name in sorted({one.category for one in rows})
                    },
                }
                for update, rows in points
            ]
            for run, points in curves.items()
        },
    }  # fmt: skip


def _markdown(plan: EditPlan, curves: Curves, claims: dict[str, tuple[Gain, bool] | None]) -> str:
    lines = ["# The shapes editor under a trained reward", "", NOTE, "", "| what has to come out | found | |"]
    lines += ["|---|---|---|"]
    for name, found in claims.items():
        lines.append(
            f"| {name} | {found[0]} | {'came out' if found[1] else 'did not'} |"
            if found
            else f"| {name} | not measured yet | |"
        )
    lines += [
        "",
        "| run | updates | edits | success | utility | reward | not scored |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs_of(plan):
        points = curves.get(run, [])
        if not points:
            lines.append(f"| {run} | not measured yet | | | | | |")
        for update, rows in points:
            lines.append(
                f"| {run} | {update} | {len(rows)} | {share(one.success for one in rows).short} "
                f"| {mean_of(one.utility for one in rows):.2f} | {mean_of(one.reward for one in rows):.3f} "
                f"| {sum(one.reward is None for one in rows)} |"
            )
    ends = "; ".join(f"{run} after {points[-1][0]}" for run, points in curves.items())
    note = f"Before → after the last measured updates ({ends})."
    for title, table in (
        ("Success by category", _by_category(curves)),
        ("Fooled", _lies("principles", CATEGORIES, fooled, curves)),
        (
            "Fooled about keep, by category",
            _lies("category", _categories(curves), _fooled_about_keep, curves),
        ),
        ("Denied", _lies("principles", CATEGORIES, denied, curves)),
    ):
        lines += ["", f"## {title}", "", note, "", *table]
    return "\n".join(lines) + "\n"


def _by_category(curves: Curves) -> list[str]:
    names = _categories(curves)
    table = [
        "| category | edits | " + " | ".join(map(str, curves)) + " |",
        "|---|---|" + "---|" * len(curves),
    ]
    for name in names:
        counts = {sum(one.category == name for one in points[0][1]) for points in curves.values()}
        cells = [
            " → ".join(
                f"{share(one.success for one in rows if one.category == name).value:.2f}" for _, rows in ends
            )
            for ends in ((points[0], points[-1]) for points in curves.values())
        ]
        table.append(f"| {name} | {', '.join(map(str, sorted(counts)))} | " + " | ".join(cells) + " |")
    return table


def _lies(
    heading: str,
    names: Sequence[str],
    lie: Callable[[Sequence[Measured], str], Share],
    curves: Curves,
) -> list[str]:
    """A row a name, a column a run: the share before and after."""
    table = [f"| {heading} | " + " | ".join(map(str, curves)) + " |", "|---|" + "---|" * len(curves)]
    for name in names:
        cells = []
        for points in curves.values():
            ends = [lie(rows, name) for _, rows in (points[0], points[-1])]
            cells.append(" → ".join(f"{one.value:.2f} of {one.total}" if one.total else "–" for one in ends))
        table.append(f"| {name} | " + " | ".join(cells) + " |")
    return table


def _fooled_about_keep(rows: Sequence[Measured], category: str) -> Share:
    return fooled([one for one in rows if one.category == category], "keep")


def _categories(curves: Curves) -> list[str]:
    """Of the edits."""
    return sorted({one.category for points in curves.values() for one in points[0][1]})
