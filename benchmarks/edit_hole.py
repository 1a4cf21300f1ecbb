"""Which verdicts let a bad edit through, and which reward would have known? On pictures of the reproduction.

    .venv/bin/python benchmarks/edit_hole.py --pictures runs/reproduce-edit/measure-gcpo-seed0/update-0000040

The pictures, which the oracle has judged when they were measured, are scored again by every --model with the
gold principles. Printed for each, in the shapes that `edit-grpo train` knows: AUC, the probability that an
edit the oracle finds done has a higher reward than one it does not (a tie counts half), with a bootstrap
interval over edits, and the mean rewards of both; then of the principles that the oracle finds not met the
share that the model finds met, by category and by what differs, the commonest lies first.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer
from rich.table import Table
from rig.report import console

from edit_grpo.data.edits import read_edits
from edit_grpo.reward.settings import RewardSettings
from edit_grpo.reward.shaping import shaped_rewards
from edit_rrm.intervals import share
from edit_rrm_client import CandidateScored, ScoreAnswer
from edit_rrm_shapes.reproduce_editor.measuring import answers_to
from edit_rrm_shapes.reproduce_editor.serving import serving
from edit_rrm_shapes.world.scene import CELLS, COLOURS, FILLS, SHAPES

RESAMPLES = 2000
Judged = dict[str, Any]
"""A line of `judged.jsonl`."""


def auc(good: np.ndarray, bad: np.ndarray) -> float:
    """P(good > bad) + P(good = bad) / 2; NaN where either is empty."""
    if not len(good) or not len(bad):
        return float("nan")
    above = good[:, None] - bad[None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def auc_interval(rewards: np.ndarray, success: np.ndarray) -> tuple[float, float, float]:
    """AUC with its 95 % bootstrap interval over edits."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(rewards), size=len(rewards)) for _ in range(RESAMPLES)]
    found = [auc(rewards[at][success[at]], rewards[at][~success[at]]) for at in drawn]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return auc(rewards[success], rewards[~success]), float(low), float(high)


def rewards_table(name: str, answers: Sequence[ScoreAnswer | None], judged: Sequence[Judged]) -> Table:
    """A row a shape of the reward."""
    table = Table("reward", "scored", "AUC", "where done", "where not", title=name)
    for shape in get_args(RewardSettings.model_fields["shape"].annotation):
        settings = RewardSettings(shape=shape)
        pairs = [
            (reward, line["success"])
            for answer, line in zip(answers, judged, strict=True)
            if answer is not None and (reward := shaped_rewards(answer, settings)[0]) is not None
        ]
        rewards, success = (np.array(each) for each in zip(*pairs, strict=True))
        value, low, high = auc_interval(rewards, success)
        table.add_row(
            shape, f"{len(pairs)}", f"{value:.3f} [{low:.3f}, {high:.3f}]",
            f"{rewards[success].mean():.3f}", f"{rewards[~success].mean():.3f}",
        )  # fmt: skip
    return table


def lies(answers: Sequence[ScoreAnswer | None], judged: Sequence[Judged]) -> list[tuple[str, str, bool]]:
    """Category, what the oracle saw, and whether the model found it met, of each principle that is not."""
    found = []
    for answer, line in zip(answers, judged, strict=True):
        result = answer.results[0] if answer is not None else None
        if not isinstance(result, CandidateScored) or not result.verdicts:
            continue
        said = zip(line["categories"], line["verdicts"], line["evidence"], result.verdicts, strict=True)
        for category, true, evidence, verdict in said:
            if not true:
                found.append((category, what_differs(evidence), verdict.met))
    return found


def what_differs(evidence: str) -> str:
    """The kind of difference: `left: red/blue differs, star/star same` is one of colour."""
    place, _, parts = evidence.partition(": ")
    seen, wanted = next(part for part in parts.split(", ") if part.endswith("differs")).split()[0].split("/")
    if wanted == "none":
        return seen
    if "empty" in (seen, wanted):
        return "missing" if seen == "empty" else "still there"
    kinds = {"shape": SHAPES, "colour": COLOURS, "fill": FILLS}
    return next((kind for kind, words in kinds.items() if place in CELLS and wanted in words), place)


def lies_table(answers: Sequence[ScoreAnswer | None], judged: Sequence[Judged], rows: int) -> Table:
    """A row a category, then a row a kind of lie."""
    table = Table("principles not met", "found met")
    found = lies(answers, judged)
    for category in ("follow", "keep", "quality"):
        told = share(met for name, _, met in found if name == category)
        table.add_row(category, f"{told} of {told.total}")
    for (category, kind), _ in Counter((name, kind) for name, kind, met in found if met).most_common(rows):
        told = share(met for name, what, met in found if (name, what) == (category, kind))
        table.add_row(f"{category}: {kind}", f"{told} of {told.total}")
    return table


def main(
    pictures: Annotated[Path, typer.Option(help="Folder of a measurement: pictures and judged.jsonl.")],
    data: Annotated[Path, typer.Option(help="The edits it was measured on.")] = Path(
        "runs/reproduce-edit/data/test/edits.jsonl"
    ),
    model: Annotated[list[str] | None, typer.Option(help="Checkpoint or service; may be repeated.")] = None,
    rows: Annotated[int, typer.Option(min=0, help="Kinds of lies that are shown.")] = 8,
) -> None:
    """Scores a measurement's pictures again and prints both tables for each model."""
    edits = read_edits([data])
    judged = [json.loads(line) for line in (pictures / "judged.jsonl").read_text("utf-8").splitlines()]
    bundled = ("edit-rrm-tiny-gcpo", "edit-rrm-tiny-sft", "edit-rrm-tiny")
    for name in model or bundled:
        with serving(name, pictures.parent / "hole.log") as url:
            answers = asyncio.run(answers_to(edits, pictures, url))
        console.print(rewards_table(name, answers, judged))
        console.print(lies_table(answers, judged, rows))


if __name__ == "__main__":
    typer.run(main)
