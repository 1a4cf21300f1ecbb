"""What a set of scored edits says in sum, gathered row by row; images and order play no part. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import quantiles

from edit_rrm.intervals import Cluster, Interval, mean_interval, mean_of, share_interval
from edit_rrm.principles import Category
from edit_rrm_client.bulk.rows import ResultRow

BINS = 20


@dataclass(frozen=True)
class GroupSummary:
    """The rows of one model, of all models (None), or of one model within one edit category.

    `reward`, `score` and `disagreement` are means over the scored rows, None without any.
    """

    model: str | None
    category: str | None
    rows: int
    scored: int
    failed: int
    edits: int
    reward: float | None
    interval: Interval | None
    score: float | None
    disagreement: float | None


@dataclass(frozen=True)
class Distribution:
    """Scored rows in `BINS` equal bins from 0 to the top of the range; the last bin includes the top."""

    counts: tuple[int, ...]
    n: int
    mean: float | None
    quartiles: tuple[float, ...]
    """The three quarter points, interpolated; empty without rows."""

    @property
    def tallest(self) -> float:
        """The share of the fullest bin."""
        return max(self.counts) / self.n if self.n else 0.0


@dataclass(frozen=True)
class ModelDistributions:
    """How one model's rewards and scores are spread."""

    model: str
    reward: Distribution
    score: Distribution


@dataclass(frozen=True)
class PassRate:
    """The share of a model's verdicts in one principle category that are "met"."""

    model: str
    category: Category
    share: float
    verdicts: int
    interval: Interval


@dataclass(frozen=True)
class Tally:
    """Rows of one model with one error code, or with one guard triggered."""

    model: str
    name: str
    rows: int


@dataclass(frozen=True)
class Summary:
    """Everything the upper half of the page shows; models from the best mean reward to the worst."""

    models: tuple[GroupSummary, ...]
    """One a model, and at the end one for all of them when there are several."""
    cells: tuple[GroupSummary, ...]
    distributions: tuple[ModelDistributions, ...]
    pass_rates: tuple[PassRate, ...]
    failures: tuple[Tally, ...]
    guards: tuple[Tally, ...]


@dataclass
class _Group:
    """What is kept of one group's rows."""

    rows: int = 0
    failed: int = 0
    edits: set[str] = field(default_factory=set)
    rewards: dict[str, Cluster] = field(default_factory=lambda: defaultdict(Cluster))
    score_total: float = 0.0
    disagreement: Cluster = field(default_factory=Cluster)

    def add(self, row: ResultRow) -> None:
        self.rows += 1
        self.edits.add(row.id)
        if row.reward is None or row.score is None:
            self.failed += 1
            return
        self.rewards[row.id].add(row.reward)
        self.score_total += row.score
        if row.disagreement is not None:
            self.disagreement.add(row.disagreement)

    def summary(self, model: str | None, category: str | None) -> GroupSummary:
        scored = self.rows - self.failed
        return GroupSummary(
            model=model,
            category=category,
            rows=self.rows,
            scored=scored,
            failed=self.failed,
            edits=len(self.edits),
            reward=mean_of(self.rewards.values()),
            interval=mean_interval(self.rewards.values(), 0.0, 1.0),
            score=self.score_total / scored if scored else None,
            disagreement=mean_of([self.disagreement]),
        )


class Statistics:
    """Takes rows one at a time and sums them up; memory grows with the edits and scores, not the images."""

    def __init__(self) -> None:
        self._all = _Group()
        self._models: dict[str, _Group] = defaultdict(_Group)
        self._cells: dict[tuple[str, str], _Group] = defaultdict(_Group)
        self._values: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
        self._verdicts: dict[tuple[str, Category], dict[str, Cluster]] = defaultdict(
            lambda: defaultdict(Cluster)
        )
        self._failures: Counter[tuple[str, str]] = Counter()
        self._guards: Counter[tuple[str, str]] = Counter()

    def add(self, row: ResultRow) -> None:
        """Counts one row."""
        for group in (self._all, self._models[row.model], self._cells[row.model, row.category]):
            group.add(row)
        if row.error_code is not None:
            self._failures[row.model, row.error_code] += 1
        if row.reward is not None and row.score is not None:
            rewards, scores = self._values[row.model]
            rewards.append(row.reward)
            scores.append(row.score)
        for verdict in row.verdicts:
            self._verdicts[row.model, verdict.category][row.id].add(float(verdict.met))
        for guard in row.guards:
            if guard.triggered:
                self._guards[row.model, guard.name] += 1

    def summary(self) -> Summary:
        """What the rows so far say."""
        models = [group.summary(model, None) for model, group in self._models.items()]
        models.sort(key=lambda group: -math.inf if group.reward is None else group.reward, reverse=True)
        distributions = tuple(self._distributions(group.model) for group in models if group.model is not None)
        if len(models) > 1:
            models.append(self._all.summary(None, None))
        return Summary(
            models=tuple(models),
            cells=tuple(group.summary(*names) for names, group in self._cells.items()),
            distributions=distributions,
            pass_rates=tuple(self._pass_rates()),
            failures=tuple(Tally(*names, rows) for names, rows in self._failures.most_common()),
            guards=tuple(Tally(*names, rows) for names, rows in self._guards.most_common()),
        )

    def _distributions(self, model: str) -> ModelDistributions:
        rewards, scores = self._values[model]
        return ModelDistributions(model, distribution(rewards, 1.0), distribution(scores, 10.0))

    def _pass_rates(self) -> Iterable[PassRate]:
        for (model, category), clusters in self._verdicts.items():
            share, interval = mean_of(clusters.values()), share_interval(clusters.values())
            if share is not None and interval is not None:
                verdicts = sum(cluster.count for cluster in clusters.values())
                yield PassRate(model, category, share, verdicts, interval)


def distribution(values: list[float], top: float) -> Distribution:
    """The histogram of values in [0, top] with mean and quarter points."""
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(value / top * BINS))] += 1
    if not values:
        return Distribution(tuple(counts), 0, None, ())
    quartiles = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Distribution(tuple(counts), len(values), sum(values) / len(values), tuple(quartiles))
