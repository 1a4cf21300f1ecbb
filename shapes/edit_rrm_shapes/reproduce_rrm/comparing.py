"""Differences between models that were asked about the same pairs, and what the paper expects of them. Pure.

Pairs of one edit share candidates and are not independent: the interval of a difference takes edits, not
pairs, as its units.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edit_rrm.intervals import Cluster, mean_interval, mean_of
from edit_rrm_shapes.reproduce_rrm.graph import Model, after_gcpo
from edit_rrm_shapes.reproduce_rrm.outcomes import JudgedPair
from edit_rrm_shapes.reproduce_rrm.plan import CREDITS, GcpoPlan, Plan
from edit_rrm_shapes.staged.verdicts import Verdict, verdict
from edit_rrm_shapes.tiny_rrm.model import Size

GCPO_GAIN = 0.04
"""What GCPO has to add to T+V for the larger size, whatever its credit (the paper: 2.7 points at 3B, 6.8 at
7B)."""

Answer = Verdict | Literal["not measured"]
Outcomes = Mapping[Model, Sequence[JudgedPair]]


@dataclass(frozen=True)
class Difference:
    """Accuracy of one model less another's, or of the mean of several, with its 95 % interval."""

    value: float
    low: float
    high: float
    pairs: int
    edits: int

    def __str__(self) -> str:
        return f"{100 * self.value:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


def difference(better: Sequence[Sequence[JudgedPair]], worse: Sequence[Sequence[JudgedPair]]) -> Difference:
    """Mean accuracy of the models `better` less that of `worse`, all on the same pairs.

    A ratio estimator over edits (`mean_interval`, the edits its groups). Raises ValueError when the models
    were asked about different pairs, or about none.
    """
    ids = [pair.pair for pair in better[0]]
    if not ids or any([pair.pair for pair in one] != ids for one in (*better, *worse)):
        raise ValueError("the models were not asked about the same pairs")
    edits: dict[str, Cluster] = defaultdict(Cluster)
    for place, pair in enumerate(better[0]):
        edits[pair.edit].add(_mean_right(better, place) - _mean_right(worse, place))
    value, interval = mean_of(edits.values()), mean_interval(edits.values())
    assert value is not None  # there are pairs
    low, high = (-math.inf, math.inf) if interval is None else interval
    return Difference(value, low, high, len(ids), len(edits))


def _mean_right(models: Sequence[Sequence[JudgedPair]], place: int) -> float:
    return sum(model[place].right for model in models) / len(models)


@dataclass(frozen=True)
class Claim:
    """An expected inequality between means over models, and how much the difference must at least be."""

    text: str
    better: tuple[Model, ...]
    worse: tuple[Model, ...]
    at_least: float = 0.0

    def answer(self, found: Difference | None) -> Answer:
        """By the whole interval, not by the difference alone (`verdict`)."""
        return "not measured" if found is None else verdict(found.low, found.high, self.at_least)


def claims_of(plan: Plan) -> list[Claim]:
    """What has to come out, for every size and between sizes."""
    claims = []
    for size in plan.sizes:
        t, v, tv, scorer = (Model(size, "t"), Model(size, "v"), Model(size, "tv"), Model(size, "scorer"))
        name = size.upper()
        claims += [
            Claim(f"{name}: T+V > T", (tv,), (t,)),
            Claim(f"{name}: T+V > V", (tv,), (v,)),
            Claim(f"{name}: verifier (T+V) > scorer", (tv,), (scorer,)),
        ]
        claims += [claim for gcpo in plan.sizes[size].gcpo for claim in _claims_of_gcpo(size, gcpo)]
    if {"s", "m"} <= set(plan.sizes):
        claims.append(Claim("M > S, T+V", (Model("m", "tv"),), (Model("s", "tv"),)))
        small = {gcpo.credit: after_gcpo("s", gcpo) for gcpo in plan.sizes["s"].gcpo}
        claims += [
            Claim(f"M > S, {CREDITS[gcpo.credit]}", after_gcpo("m", gcpo), small[gcpo.credit])
            for gcpo in plan.sizes["m"].gcpo
            if gcpo.credit in small
        ]
    return claims


def _claims_of_gcpo(size: Size, gcpo: GcpoPlan) -> list[Claim]:
    """Every seed, and the mean of several."""
    tv, seeds = (Model(size, "tv"),), after_gcpo(size, gcpo)
    least = GCPO_GAIN if size == "m" else 0.0
    said = f" by at least {100 * least:.0f} points" if least else ""
    text = f"{size.upper()}: {CREDITS[gcpo.credit]} > T+V{said}"
    claims = [Claim(f"{text}, seed {model.seed}", (model,), tv, least) for model in seeds]
    if len(seeds) > 1:
        claims.append(Claim(f"{text}, mean of {len(seeds)} seeds", seeds, tv, least))
    return claims


def check(claim: Claim, outcomes: Outcomes) -> Difference | None:
    """The difference a claim speaks of; None while a model of it is not measured."""
    if any(model not in outcomes for model in (*claim.better, *claim.worse)):
        return None
    return difference([outcomes[m] for m in claim.better], [outcomes[m] for m in claim.worse])
