"""What a reader has to know before the table, a sentence each. Figures are the rows' and the plan's. Pure."""

from collections.abc import Mapping, Sequence

from edit_rrm_shapes.reproduce_rrm.graph import Model
from edit_rrm_shapes.reproduce_rrm.outcomes import JudgedPair, accuracy
from edit_rrm_shapes.reproduce_rrm.plan import CREDITS, GcpoPlan, Plan

TEACHERS = (
    "The simulated teachers were changed first: they count verdicts, where they had scored by the gold rule, "
    "so that preferences had something to teach; that is a choice, not a finding."
)
SFT_SEEDS = "SFT is one seed a cell; seeds are GCPO's alone, from the one T+V checkpoint of a size."
SIZES = (
    "No 3B or 7B model has been trained or run on a GPU with this code: M has 4.1 million parameters, S 1.5 "
    "million."
)
PAPER_T_AND_V = "T 64.1 and V 66.1 at 3B, 68.9 and 70.9 at 7B (for Seed-1.6-VL T 71.2 and V 69.4)"


def caveats(plan: Plan, outcomes: Mapping[Model, Sequence[JudgedPair]]) -> list[str]:
    """The sentences; those that compare come when what they compare is measured."""
    looked_at = (
        f"The pairs of test world {plan.data.test_world} were looked at three times before this table, with "
        "changes of plan between, so they are a development set as much as a test set."
    )
    sentences = [TEACHERS, _t_and_v(plan, outcomes), _credits(plan), looked_at, SFT_SEEDS, SIZES]
    return [sentence for sentence in sentences if sentence]


def _t_and_v(plan: Plan, outcomes: Mapping[Model, Sequence[JudgedPair]]) -> str:
    """In which order they stand, and in the paper."""
    shares = {
        size: (accuracy(outcomes[t]).accuracy.value, accuracy(outcomes[v]).accuracy.value)
        for size in plan.sizes
        if (t := Model(size, "t")) in outcomes and (v := Model(size, "v")) in outcomes
    }
    if not shares:
        return ""
    here = ", ".join(
        f"T {100 * t:.1f} and V {100 * v:.1f} in {size.upper()}" for size, (t, v) in shares.items()
    )
    as_there = {v > t for t, v in shares.values()}
    order = "the other order than" if as_there == {False} else "the order of"
    where = " in one size only" if len(as_there) == 2 else ""
    return f"T and V stand in {order} the paper's Qwen2.5-VL{where}: here {here}, there {PAPER_T_AND_V}."


def _credits(plan: Plan) -> str:
    """What else the two GCPO rows differ in."""
    for of_size in plan.sizes.values():
        known = {gcpo.credit: gcpo for gcpo in of_size.gcpo}
        if len(known) > 1:
            paper, ours = known["trace"], known["all_scores"]
            return (
                f"{CREDITS['trace']} was measured first ({_amount(paper)}); only then did the plan change to "
                f"{CREDITS['all_scores']}, with a KL to T+V ({_amount(ours)}), so the two rows differ in "
                "more than the credit."
            )
    return ""


def _amount(gcpo: GcpoPlan) -> str:
    seeds = f"{len(gcpo.seeds)} seed{'s' * (len(gcpo.seeds) > 1)}"
    return f"{gcpo.steps} steps of {gcpo.pairs_per_step} pairs × 2 × {gcpo.traces} traces, {seeds}"
