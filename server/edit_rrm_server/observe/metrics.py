"""The service's metrics, in a registry of their own; `exposition` adds what vLLM registers beside them.

Each room declares what it reports as a protocol of its own; `ServiceMetrics` satisfies them all.
"""

from collections.abc import Callable, Sequence
from typing import get_args

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from edit_rrm.principles import Category, Principle
from edit_rrm.wire import CandidateFailed, CandidateScored, Priority, Usage
from edit_rrm_server.admission.batching import Batcher, Dropped
from edit_rrm_server.admission.lanes import LANES
from edit_rrm_server.scoring.score_cache import ScoreCache

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_SAME_REWARD = 1e-6
_TENTHS = tuple(i / 10 for i in range(11))


class ServiceMetrics:
    """See the module. `engine_alive` is asked whenever metrics are read."""

    def __init__(self, engine_alive: Callable[[], bool]) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._requests = Counter(
            "edit_rrm_requests", "Requests answered", ["route", "status", "code"], registry=r
        )
        self._request_s = Histogram(
            "edit_rrm_request_seconds",
            "From arrival to the last byte of the answer",
            ["route"],
            buckets=_SECONDS,
            registry=r,
        )
        self._queue_s = Histogram(
            "edit_rrm_queue_seconds",
            "How long jobs waited for the engine",
            ["lane"],
            buckets=_SECONDS,
            registry=r,
        )
        self._phase_s = Histogram(
            "edit_rrm_phase_seconds",
            "Phases of a call: decompose, verify",
            ["phase"],
            buckets=_SECONDS,
            registry=r,
        )
        self._queue_jobs = Gauge("edit_rrm_queue_jobs", "Jobs that wait", ["lane"], registry=r)
        self._queue_oldest_s = Gauge(
            "edit_rrm_queue_oldest_seconds",
            "How long ago the oldest call that waits arrived",
            ["lane"],
            registry=r,
        )
        self._occupancy = Histogram(
            "edit_rrm_window_occupancy",
            "Share of the engine's window in use whenever a job starts",
            buckets=_TENTHS,
            registry=r,
        )
        self._jobs_dropped = Counter(
            "edit_rrm_jobs_dropped",
            "Jobs without a result by reason (expired, cancelled, failed) and place (queue, engine)",
            ["reason", "place"],
            registry=r,
        )
        self._jobs_in_flight = Gauge("edit_rrm_jobs_in_flight", "Jobs in the engine", registry=r)
        self._jobs_refused = Counter(
            "edit_rrm_jobs_refused", "Jobs of calls refused with queue_full", registry=r
        )
        self._tokens = Counter(
            "edit_rrm_tokens",
            "Tokens by kind: prompt, cached_prompt (part of prompt), completion",
            ["kind"],
            registry=r,
        )
        self._unparsed = Counter(
            "edit_rrm_unparsed",
            "Texts of the model that could not be parsed, each attempt counted",
            ["task"],
            registry=r,
        )
        self._principles = Counter(
            "edit_rrm_principle_sets",
            "Principle sets served, by origin: cache, model",
            ["origin"],
            registry=r,
        )
        self._candidates = Counter(
            "edit_rrm_candidates",
            "Candidates by outcome: ok, or the code of the failure",
            ["outcome"],
            registry=r,
        )
        self._guards = Counter("edit_rrm_guards_triggered", "Guards that fired", ["guard"], registry=r)
        self._reward = Histogram("edit_rrm_reward", "Rewards given", buckets=_TENTHS, registry=r)
        self._score = Histogram(
            "edit_rrm_score", "Scores given by the model", buckets=tuple(range(11)), registry=r
        )
        self._disagreement = Histogram(
            "edit_rrm_disagreement",
            "Standard deviation of a candidate's sample scores, for calls of several samples",
            buckets=(0, 0.25, 0.5, 1, 1.5, 2, 3, 4, 5),
            registry=r,
        )
        self._groups = Counter(
            "edit_rrm_groups",
            "Calls of two rewards or more, by variance of their rewards: zero, some",
            ["variance"],
            registry=r,
        )
        self._score_cache = Counter(
            "edit_rrm_score_cache", "Deterministic candidates looked up: hit, miss", ["result"], registry=r
        )
        self._cache_bytes = Gauge("edit_rrm_score_cache_bytes", "Size of the score cache", registry=r)
        self._verdicts = Counter(
            "edit_rrm_verdicts",
            "Verdicts by category and whether they were met",
            ["category", "met"],
            registry=r,
        )
        Gauge("edit_rrm_engine_up", "1 while the engine can run a prompt", registry=r).set_function(
            lambda: float(engine_alive())
        )
        self._engine_deaths = Counter("edit_rrm_engine_deaths", "Deaths of the running engine", registry=r)
        self._engine_restarts = Counter(
            "edit_rrm_engine_restarts",
            "Restarts of the engine by outcome: ok, failed",
            ["outcome"],
            registry=r,
        )
        self._reloads = Counter(
            "edit_rrm_reloads", "Replacements of the weights by outcome: ok, failed", ["outcome"], registry=r
        )
        for outcome in ("ok", "failed"):
            self._engine_restarts.labels(outcome)
            self._reloads.labels(outcome)
        self._state = Gauge(
            "edit_rrm_state", "1 for the state the service is in, 0 for the others", ["state"], registry=r
        )
        for category in Category:
            for met in ("true", "false"):
                self._verdicts.labels(category.value, met)
        for kind in ("prompt", "cached_prompt", "completion"):
            self._tokens.labels(kind)
        for task in ("decompose", "verify"):
            self._unparsed.labels(task)
        for reason in get_args(Dropped):
            for place in ("queue", "engine"):
                self._jobs_dropped.labels(reason, place)
        for variance in ("zero", "some"):
            self._groups.labels(variance)
        for result in ("hit", "miss"):
            self._score_cache.labels(result)

    def request_answered(self, route: str, status: int, code: str, duration_s: float) -> None:
        """A request is over; `code` is `ok` or that of its problem, `route` a path template."""
        self._requests.labels(route, str(status), code).inc()
        self._request_s.labels(route).observe(duration_s)

    def watch_queue(self, batcher: Batcher) -> None:
        """Has the queue's gauges read from `batcher` whenever metrics are."""
        for lane in LANES:
            self._queue_jobs.labels(lane).set_function(
                lambda lane=lane: float(batcher.waiting_by_lane[lane])  # type: ignore[misc]
            )
            self._queue_oldest_s.labels(lane).set_function(
                lambda lane=lane: batcher.oldest_wait_s(lane)  # type: ignore[misc]
            )

    def watch_score_cache(self, cache: ScoreCache) -> None:
        """Has the score cache's size read from `cache` whenever metrics are."""
        self._cache_bytes.set_function(lambda: float(cache.size_bytes))

    def watch_state(self, state: Callable[[], str], possible: Sequence[str]) -> None:
        """Has the service's state read from `state` whenever metrics are."""
        for name in possible:
            self._state.labels(name).set_function(
                lambda name=name: float(state() == name)  # type: ignore[misc]
            )

    def engine_died(self) -> None:
        """For supervision."""
        self._engine_deaths.inc()

    def engine_restarted(self, outcome: str) -> None:
        """For supervision."""
        self._engine_restarts.labels(outcome).inc()

    def weights_reloaded(self, outcome: str) -> None:
        """For reloading."""
        self._reloads.labels(outcome).inc()

    def jobs_in_flight(self, count: int) -> None:
        """For the batcher."""
        self._jobs_in_flight.set(count)

    def jobs_refused(self, count: int) -> None:
        """For the batcher."""
        self._jobs_refused.inc(count)

    def job_started(self, lane: Priority, waited_s: float, occupancy: float) -> None:
        """For the batcher."""
        self._queue_s.labels(lane).observe(waited_s)
        self._occupancy.observe(occupancy)

    def jobs_dropped(self, reason: Dropped, waiting: int, in_engine: int) -> None:
        """For the batcher."""
        self._jobs_dropped.labels(reason, "queue").inc(waiting)
        self._jobs_dropped.labels(reason, "engine").inc(in_engine)

    def group_scored(self, rewards: Sequence[float]) -> None:
        """For scoring: only calls of at least two rewards are groups."""
        if len(rewards) > 1:
            self._groups.labels("zero" if max(rewards) - min(rewards) < _SAME_REWARD else "some").inc()

    def score_looked_up(self, hit: bool) -> None:
        """For scoring."""
        self._score_cache.labels("hit" if hit else "miss").inc()

    def decomposition_unparsed(self) -> None:
        """For the decomposer."""
        self._unparsed.labels("decompose").inc()

    def principles_served(self, origin: str) -> None:
        """For the decomposer."""
        self._principles.labels(origin).inc()

    def trace_unparsed(self) -> None:
        """For scoring."""
        self._unparsed.labels("verify").inc()

    def phase_took(self, phase: str, duration_s: float) -> None:
        """For scoring."""
        self._phase_s.labels(phase).observe(duration_s)

    def tokens_used(self, usage: Usage) -> None:
        """For scoring."""
        self._tokens.labels("prompt").inc(usage.prompt_tokens)
        self._tokens.labels("cached_prompt").inc(usage.cached_prompt_tokens)
        self._tokens.labels("completion").inc(usage.completion_tokens)

    def candidate_judged(
        self, outcome: CandidateScored | CandidateFailed, principles: Sequence[Principle]
    ) -> None:
        """For scoring."""
        if isinstance(outcome, CandidateFailed):
            self._candidates.labels(outcome.error.code).inc()
            return
        self._candidates.labels("ok").inc()
        self._reward.observe(outcome.reward)
        if outcome.samples:  # a guard's refusal carries no score of the model's
            self._score.observe(outcome.score)
        if len(outcome.samples) > 1:
            self._disagreement.observe(outcome.disagreement)
        for guard in outcome.guards:
            if guard.triggered:
                self._guards.labels(guard.name).inc()
        if outcome.verdicts:
            for principle, verdict in zip(principles, outcome.verdicts, strict=True):
                self._verdicts.labels(principle.category.value, str(verdict.met).lower()).inc()

    def exposition(self) -> bytes:
        """Prometheus text: this service's metrics, then those of the default registry (vLLM, process)."""
        return generate_latest(self.registry) + generate_latest(REGISTRY)
