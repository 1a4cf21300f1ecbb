"""What a reader has to know before the editor's table, a sentence each. Figures are the results'. Pure."""

from collections.abc import Iterable

from edit_rrm.intervals import Share
from edit_rrm_shapes.reproduce_editor.plan import FULL, EditPlan, Run, runs_of
from edit_rrm_shapes.reproduce_editor.results import Point, Results

UNDAMAGED, DAMAGED = "0.40 [0.31, 0.50]", "0.05 [0.02, 0.11]"
"""Oracle success of the bundled editor on 100 other edits, before and after it was taught the flaw: its card
(shapes/edit_rrm_shapes/models/shapes-editor/README.md)."""
CONTROL = (
    "No control reward was trained, such as *does it differ from the source?*: how much of the rise takes a "
    "judge is not known."
)
REAL = "No real editor, and no 3B or 7B reward model, has been trained or run on a GPU with this code."


def caveats(plan: EditPlan, results: Results) -> list[str]:
    """The sentences; those with figures come when the runs are measured to their end."""
    ends = {
        run: (points[0], points[-1])
        for run in runs_of(plan)
        if (points := results.of(run)) and (points[0].update, points[-1].update) == (0, plan.updates)
    }
    sentences = [
        _flaw(ends) if plan.editor == FULL.editor else "",
        _cost(ends),
        _seeds(plan, ends),
        CONTROL,
        REAL,
    ]
    return [sentence for sentence in sentences if sentence]


Ends = dict[Run, tuple[Point, Point]]
"""Before and after."""


def _flaw(ends: Ends) -> str:
    text = (
        "The editor was taught a flaw first, to leave four edits of five undone: on 100 edits of world 1040 "
        f"its success fell by that from {UNDAMAGED} to {DAMAGED}"
    )
    if ends:
        before = _range((early.success for early, _ in ends.values()), ".2f")
        after = _range((late.success for _, late in ends.values()), ".2f")
        text += f"; on the edits here it is {before} before training and {after} after"
    return (
        f"{text}. So the table says how much is won back; without the flaw two earlier trainings, "
        "of 15 and 25 updates by other recipes, gained nothing (0.36 and 0.38 after, one run each)."
    )


def _cost(ends: Ends) -> str:
    if not ends:
        return ""
    parts = [
        f"*{name}* {_per_cent(early.not_met(name) for early, _ in ends.values())} → "
        f"{_per_cent(late.not_met(name) for _, late in ends.values())} %"
        for name in ("keep", "quality")
    ]
    return (
        f"The rise has a price: principles that the oracle finds not met, {', '.join(parts)} (of pictures "
        "that the reward model gave verdicts on)."
    )


def _seeds(plan: EditPlan, ends: Ends) -> str:
    """What one reward gains over the other, run by run."""
    gains = [
        f"{ends[ours][1].success - ends[other][1].success:+.3f} (seed {seed})"
        for seed in plan.seeds
        if (ours := Run("gcpo", seed)) in ends and (other := Run("sft", seed)) in ends
    ]
    if not gains:
        return ""
    return (
        f"Success after GCPO's reward less success after SFT's is {', '.join(gains)}; the intervals below "
        "take edits as units and say nothing about other seeds."
    )


def _per_cent(shares: Iterable[Share]) -> str:
    return _range((100 * one.value for one in shares), ".1f")


def _range(values: Iterable[float], form: str) -> str:
    """One number where all read alike."""
    known = sorted(values)
    low, high = f"{known[0]:{form}}", f"{known[-1]:{form}}"
    return low if low == high else f"{low}–{high}"
