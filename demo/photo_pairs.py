"""How often a judge puts a photograph's good edit before its bad ones. Pure: knows rows of results only."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edit_rrm.intervals import Cluster, Interval, share_interval
from edit_rrm_client.bulk.rows import ResultRow
from photo_listing import GOOD

_SAME = 1e-9


@dataclass(frozen=True)
class Pair:
    """A bad edit beside the good one of the same instruction."""

    bad_key: str
    photograph: str
    good: float
    bad: float

    @property
    def outcome(self) -> float:
        """1 when the good one has the higher reward, a half when both have the same, else 0."""
        return 0.5 if abs(self.good - self.bad) <= _SAME else float(self.good > self.bad)


@dataclass(frozen=True)
class Won:
    """Of `pairs` so many `won`, ties counted half, with a 95 % interval over the photographs."""

    won: float
    ties: int
    pairs: int
    interval: Interval | None

    @property
    def share(self) -> str:
        """The share and its interval, in words."""
        if not self.pairs:
            return "–"
        between = "" if self.interval is None else f" ({self.interval.low:.2f} to {self.interval.high:.2f})"
        return f"{self.won / self.pairs:.2f}{between}"


def pairs(rows: Iterable[ResultRow]) -> list[Pair]:
    """Every scored bad edit beside its scored good one; where one of the two failed there is none."""
    scored = [row for row in rows if row.reward is not None]
    good = {row.id: row.reward for row in scored if row.model == GOOD}
    return [
        Pair(row.key, row.source or "", better, row.reward)
        for row in scored
        if row.model != GOOD and row.reward is not None and (better := good.get(row.id)) is not None
    ]


def won(found: Iterable[Pair]) -> Won:
    """The share; pairs of one photograph depend on each other, so the interval is over photographs."""
    listed = list(found)
    clusters: dict[str, Cluster] = {}
    for pair in listed:
        clusters.setdefault(pair.photograph, Cluster()).add(pair.outcome)
    return Won(
        math.fsum(pair.outcome for pair in listed),
        sum(pair.outcome == 0.5 for pair in listed),
        len(listed),
        share_interval(clusters.values()),
    )
