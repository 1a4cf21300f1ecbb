"""Benchmarks of editors: the rows that `edit-rrm score` wrote, under the benchmark's own groups.

GEdit-Bench: of VIEScore's four numbers, 0 to 10, semantics is the smaller of the first two, quality that of
the last two. ImgEdit-Bench: a picture has the mean of three numbers, 1 to 5, rounded to two decimals.

Verified in stepfun-ai/Step1X-Edit at 570eba6 (test_gedit_score.py, viescore/__init__.py) and
PKU-YuanGroup/ImgEdit at 547185d (step1_get_avgscore.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edit_rrm_client.bulk.benchmark_edits import (
    gedit_edits,
    gedit_id,
    imgedit_edits,
    imgedit_file,
    in_intersection,
)
from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.rows import ResultRow, read_results

SEMANTICS, QUALITY = ("prompt_following", "consistency"), ("naturalness", "artifacts")
"""Subscores of the judges that `edit-rrm judges import` makes of VIEScore's prompts."""
Values = tuple[float, ...]
Read = Callable[[Mapping[str, float]], Values | None]
"""A picture's numbers from its subscores, 0 to 1 each; None where the judge has not those."""


@dataclass(frozen=True)
class BenchmarkEdit:
    """What a table needs of an edit. `language` and `intersection` are GEdit-Bench's."""

    id: str
    group: str
    language: str = ""
    intersection: bool = False


@dataclass(frozen=True)
class Judged:
    """One picture: its numbers, None where it could not be scored, and its reward where that is known."""

    edit: BenchmarkEdit
    values: Values | None
    reward: float | None = None


def read_gedit(path: Path) -> dict[str, BenchmarkEdit]:
    """The dataset's edits by what results call them. Raises InputError."""
    seen: set[str] = set()
    edits = {}
    for number, row in enumerate(gedit_edits(path), start=1):
        for name in ("key", "task_type", "instruction_language", "Intersection_exist"):
            if row.get(name) is None:
                raise InputError(f"{path}, row {number}: there is no {name}")
        name = gedit_id(row, seen)
        edits[name] = BenchmarkEdit(
            name, str(row["task_type"]), str(row["instruction_language"]), in_intersection(row)
        )
    return edits


def read_imgedit(path: Path) -> dict[str, BenchmarkEdit]:
    """The edits of its JSON, or of the folder that holds it, by their keys. Raises InputError."""
    edits = {}
    for key, edit in imgedit_edits(imgedit_file(path)).items():
        if not isinstance(edit, dict) or not isinstance(edit.get("edit_type"), str):
            raise InputError(f"{path}: edit {key!r} has no edit_type")
        edits[key] = BenchmarkEdit(key, edit["edit_type"])
    return edits


def semantics_and_quality(subscores: Mapping[str, float]) -> Values | None:
    """G_SC and G_PQ of one picture, 0 to 10, and G_O, the root of their product."""
    if not all(name in subscores for name in (*SEMANTICS, *QUALITY)):
        return None
    semantics, quality = (10.0 * min(subscores[name] for name in names) for names in (SEMANTICS, QUALITY))
    return semantics, quality, (semantics * quality) ** 0.5


def mean_of_three(subscores: Mapping[str, float]) -> Values | None:
    """The mean of a picture's three numbers, 1 to 5."""
    return (round(1.0 + 4.0 * sum(subscores.values()) / 3.0, 2),) if len(subscores) == 3 else None


def judged_by_model(
    results: Iterable[Path],
    edits: Mapping[str, BenchmarkEdit],
    read: Read,
    wanted: str,
    rewards: Sequence[Path] = (),
) -> dict[str, list[Judged]]:
    """Every row of `results` under its model, with the reward that `rewards` has of the same picture.

    `wanted` says which judge gives what `read` reads. Raises InputError for a row that is no edit's, stands
    twice, or was scored without the judge's numbers.
    """
    reward_of = {_picture(row): row.reward for _, row in _rows(rewards, edits)}
    found: dict[str, list[Judged]] = {}
    seen: set[tuple[str, str, int]] = set()
    for place, row in _rows(results, edits):
        if _picture(row) in seen:
            raise InputError(f"{place}: an earlier row has this picture; give each kind of edit one file")
        seen.add(_picture(row))
        values = None
        if row.status == "ok":
            values = read({subscore.name: subscore.value for subscore in row.subscores})
            if values is None:
                raise InputError(f"{place}: {_why_not(row)}; {wanted}")
        judged = Judged(edits[row.id], values, reward_of.get(_picture(row)))
        found.setdefault(row.model, []).append(judged)
    if not found:
        raise InputError("the results hold no row")
    return found


def _rows(files: Iterable[Path], edits: Mapping[str, BenchmarkEdit]) -> Iterable[tuple[str, ResultRow]]:
    for file in files:
        for number, row in enumerate(read_results(file, images=False), start=1):
            place = f"{file}, row {number}"
            if row.id not in edits:
                raise InputError(f"{place}: {row.id!r} is no edit of the benchmark")
            yield place, row


def _picture(row: ResultRow) -> tuple[str, str, int]:
    return row.model, row.id, row.candidate


def _why_not(row: ResultRow) -> str:
    deciding = [guard.name for guard in row.guards if guard.decides and guard.triggered]
    if deciding and not row.subscores:
        return f"the guard {deciding[0]} decided, and the judge was not asked; score with --guards report"
    names = ", ".join(subscore.name for subscore in row.subscores)
    return f"its judge gave {f'the numbers {names}' if names else 'no numbers of its own'}"
