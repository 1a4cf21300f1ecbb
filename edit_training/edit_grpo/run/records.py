"""What an update was: one record a group, and the numbers that log.jsonl and TensorBoard get. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

from edit_grpo.algorithms.grpo import GroupAdvantages
from edit_grpo.reward.scoring import GroupOutcome
from edit_rrm_client import CandidateScored


@dataclass(frozen=True)
class GroupRecord:
    """One group of an update, for the log alone."""

    edit: str
    category: str
    rewards: tuple[float | None, ...]
    advantages: tuple[float, ...]
    std: float
    skipped: str | None
    error: str
    verdicts: Mapping[str, float]
    """Mean verdict of the scored candidates by principle category."""
    guarded: int
    undecoded: int = 0
    """Candidates whose picture was not finite."""


@dataclass(frozen=True)
class Seconds:
    """Where an update's time went. `scoring` is how long at least one group was being scored."""

    sampling: float
    waiting: float
    updating: float
    scoring: float


@dataclass
class Watched:
    """Sums of what an algorithm watches, over candidates and points."""

    count: int = 0
    sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    largest: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def record_of(
    edit: str,
    category: str,
    rewards: Sequence[float | None],
    advantages: GroupAdvantages,
    outcome: GroupOutcome,
    undecoded: int = 0,
) -> GroupRecord:
    """The record of a group that was scored, or failed to be."""
    scored = [] if outcome.answer is None else outcome.answer.results
    results = [result for result in scored if isinstance(result, CandidateScored)]
    means = defaultdict(list)
    for result in results:
        for name, mean in result.categories.items():
            means[name.value].append(mean)
    return GroupRecord(
        edit, category, tuple(rewards), tuple(advantages.advantages.tolist()), advantages.std,
        advantages.skipped, outcome.error, {name: fmean(values) for name, values in means.items()},
        sum(any(guard.limits for guard in result.guards) for result in results), undecoded,
    )  # fmt: skip


def summary(records: Sequence[GroupRecord], seconds: Seconds) -> dict[str, float]:
    """The numbers of one update over all processes' groups; docs/train-an-editor.md explains the names.

    Means are over scored candidates; a name whose mean would be over nothing is left out.
    """
    rewards = [reward for record in records for reward in record.rewards]
    known = [reward for reward in rewards if reward is not None]
    numbers = {
        "reward/failed": float(len(rewards) - len(known)),
        "reward/undecoded": float(sum(record.undecoded for record in records)),
        "reward/guarded": float(sum(record.guarded for record in records)),
        "groups/trained": float(sum(record.skipped is None for record in records)),
        "groups/skipped_failures": float(sum(record.skipped == "failures" for record in records)),
        "groups/skipped_zero_variance": float(sum(record.skipped == "zero variance" for record in records)),
        "seconds/sampling": seconds.sampling,
        "seconds/waiting": seconds.waiting,
        "seconds/updating": seconds.updating,
        "seconds/scoring": seconds.scoring,
    }
    if seconds.scoring > 0.0:
        numbers["seconds/hidden_share"] = max(0.0, 1.0 - seconds.waiting / seconds.scoring)
    if known:
        numbers["reward/mean"] = fmean(known)
        numbers["reward/std"] = pstdev(known)
        numbers["reward/group_std"] = fmean(r.std for r in records if any(v is not None for v in r.rewards))
    for category, group in _by_category(records).items():
        if group:
            numbers[f"reward_of/{category}/mean"] = fmean(group)
            numbers[f"reward_of/{category}/std"] = pstdev(group)
    for name in sorted({name for record in records for name in record.verdicts}):
        numbers[f"verdicts/{name}"] = fmean(r.verdicts[name] for r in records if name in r.verdicts)
    used = [abs(value) for r in records if r.skipped is None for value in r.advantages]
    if used:
        numbers["advantage/mean_abs"] = fmean(used)
        numbers["advantage/max_abs"] = max(used)
    return numbers


def watched_numbers(parts: Iterable[Watched]) -> dict[str, float]:
    """`update/<name>` for everything watched, the mean over all processes; of the ratio also the extreme."""
    parts = [part for part in parts if part.count]
    count = sum(part.count for part in parts)
    names = sorted({name for part in parts for name in part.sums})
    numbers = {f"update/{name}": sum(part.sums[name] for part in parts) / count for name in names}
    if any("ratio" in part.largest for part in parts):
        numbers["update/ratio_off"] = max(part.largest["ratio"] for part in parts)
    return numbers


def _by_category(records: Sequence[GroupRecord]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        found[record.category] += [reward for reward in record.rewards if reward is not None]
    return dict(sorted(found.items()))
