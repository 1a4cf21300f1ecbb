"""Best of N: the candidate to keep of each edit, and what more candidates would buy. Prints nothing."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.rows import ResultRow
from edit_rrm_client.bulk.statistics import Mean, bootstrap_mean, doubling, expected_best


@dataclass(frozen=True)
class Curve:
    """One editor's mean reward of the best of 1, 2, 4, … N candidates."""

    model: str
    edits: int
    """Edits with at least N scored candidates: every point of the curve is over these."""
    left_out: int
    """Edits with fewer."""
    points: tuple[tuple[int, Mean], ...]


@dataclass(frozen=True)
class BestOf:
    """`chosen` holds the key of each edit's best candidate among its first N, one for each editor."""

    curves: tuple[Curve, ...]
    chosen: frozenset[str]
    without: int
    """Edits of an editor that have no scored candidate among the first N."""


def best_of(rows: Iterable[ResultRow], n: int, *, seed: int = 0) -> BestOf:
    """Chooses among the candidates numbered first; a failed one is no candidate, a tie goes to the first.

    The curves use every scored candidate of an edit (`expected_best`), not only the first N. Raises
    InputError when no edit has a scored candidate.
    """
    groups: dict[tuple[str, str], list[tuple[int, str, float | None]]] = defaultdict(list)
    for row in rows:
        groups[row.model, row.id].append((row.candidate, row.key, row.reward))
    chosen, without = set(), 0
    rewards: dict[str, list[list[float]]] = defaultdict(list)
    for (model, _), candidates in groups.items():
        candidates.sort()
        scored = [(reward, key) for _, key, reward in candidates[:n] if reward is not None]
        if scored:
            chosen.add(max(scored, key=lambda candidate: candidate[0])[1])
        else:
            without += 1
        rewards[model].append([reward for _, _, reward in candidates if reward is not None])
    if not chosen:
        raise InputError("there is no edit with a scored candidate to choose")
    curves = tuple(_curve(model, rewards[model], n, seed) for model in sorted(rewards))
    return BestOf(curves, frozenset(chosen), without)


def _curve(model: str, edits: list[list[float]], n: int, seed: int) -> Curve:
    full = [rewards for rewards in edits if len(rewards) >= n]
    points = tuple(
        (count, bootstrap_mean([expected_best(rewards, count) for rewards in full], seed=seed))
        for count in (doubling(n) if full else ())
    )
    return Curve(model, len(full), len(edits) - len(full), points)
