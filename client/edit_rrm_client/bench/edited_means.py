"""The published means of benchmarks of editors. Pure.

GEdit-Bench: each kind of edit alone, then the plain mean over kinds; apart for each language, and for the
edits that all compared systems carry out (Intersection_exist). ImgEdit-Bench: each kind alone; its script has
no overall number, and the mean over kinds here is GEdit-Bench's way.

Verified in stepfun-ai/Step1X-Edit at 570eba6 (calculate_statistics.py) and PKU-YuanGroup/ImgEdit at 547185d
(step2_typescore.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edit_rrm_client.bench.edited import BenchmarkEdit, Judged

GEDIT_KINDS = (
    "background_change", "color_alter", "material_alter", "motion_change", "ps_human", "style_change",
    "subject-add", "subject-remove", "subject-replace", "text_change", "tone_transfer",
)  # fmt: skip
IMGEDIT_KINDS = (
    "add", "adjust", "extract", "replace", "remove", "background", "style", "compose", "action",
)  # fmt: skip


@dataclass(frozen=True)
class MeanLine:
    """The means of one kind of edit, or over kinds; None where nothing could be judged."""

    name: str
    values: tuple[float | None, ...]
    reward: float | None
    """The mean over the judged pictures that have one."""
    rewarded: int
    """How many those are."""
    count: int
    """Pictures that were judged."""
    failed: int
    missing: int
    """Edits without any picture."""


def lines_of(
    judged: Sequence[Judged], edits: Iterable[BenchmarkEdit], kinds: Sequence[str], numbers: int
) -> list[MeanLine]:
    """A line for each kind there is, the published ones in their order, then their mean."""
    expected = list(edits)
    present = {edit.group for edit in expected}
    names = [kind for kind in kinds if kind in present] + sorted(present - set(kinds))
    lines = [
        _line(
            name,
            [one for one in judged if one.edit.group == name],
            [edit for edit in expected if edit.group == name],
            numbers,
        )
        for name in names
    ]
    return [*lines, _over_kinds(lines, numbers)]


def _line(name: str, judged: Sequence[Judged], edits: Sequence[BenchmarkEdit], numbers: int) -> MeanLine:
    values = [one.values for one in judged if one.values is not None]
    rewards = [one.reward for one in judged if one.values is not None and one.reward is not None]
    there = {one.edit.id for one in judged}
    return MeanLine(
        name=name,
        values=tuple(_mean([each[number] for each in values]) for number in range(numbers)),
        reward=_mean(rewards),
        rewarded=len(rewards),
        count=len(values),
        failed=len(judged) - len(values),
        missing=sum(edit.id not in there for edit in edits),
    )


def _over_kinds(lines: Sequence[MeanLine], numbers: int) -> MeanLine:
    whole = [line for line in lines if line.count]
    return MeanLine(
        name=f"mean over {len(whole)} kinds",
        values=tuple(
            _mean([value for line in whole if (value := line.values[number]) is not None])
            for number in range(numbers)
        ),
        reward=_mean([line.reward for line in lines if line.reward is not None]),
        rewarded=sum(line.rewarded for line in lines),
        count=sum(line.count for line in lines),
        failed=sum(line.failed for line in lines),
        missing=sum(line.missing for line in lines),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
