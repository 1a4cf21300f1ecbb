"""The service's metrics, in a registry of their own; `exposition` adds what vLLM registers beside them.

Each room declares what it reports as a protocol of its own; `ServiceMetrics` satisfies them all.
"""

from collections.abc import Callable, Sequence

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from edit_rrm.principles import Category, Principle
from edit_rrm.wire import CandidateFailed, CandidateScored, Usage

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
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
            "edit_rrm_queue_seconds", "How long jobs waited for the engine", buckets=_SECONDS, registry=r
        )
        self._phase_s = Histogram(
            "edit_rrm_phase_seconds",
            "Phases of a call: decompose, verify",
            ["phase"],
            buckets=_SECONDS,
            registry=r,
        )
        self._queue_jobs = Gauge("edit_rrm_queue_jobs", "Jobs that wait", registry=r)
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
        self._verdicts = Counter(
            "edit_rrm_verdicts",
            "Verdicts by category and whether they were met",
            ["category", "met"],
            registry=r,
        )
        Gauge("edit_rrm_engine_up", "1 while the engine can run a prompt", registry=r).set_function(
            lambda: float(engine_alive())
        )
        for category in Category:
            for met in ("true", "false"):
                self._verdicts.labels(category.value, met)
        for kind in ("prompt", "cached_prompt", "completion"):
            self._tokens.labels(kind)
        for task in ("decompose", "verify"):
            self._unparsed.labels(task)

    def request_answered(self, route: str, status: int, code: str, duration_s: float) -> None:
        """A request is over; `code` is `ok` or that of its problem, `route` a path template."""
        self._requests.labels(route, str(status), code).inc()
        self._request_s.labels(route).observe(duration_s)

    def queue_changed(self, waiting_jobs: int, jobs_in_flight: int) -> None:
        """For the batcher."""
        self._queue_jobs.set(waiting_jobs)
        self._jobs_in_flight.set(jobs_in_flight)

    def jobs_refused(self, count: int) -> None:
        """For the batcher."""
        self._jobs_refused.inc(count)

    def job_started(self, waited_s: float) -> None:
        """For the batcher."""
        self._queue_s.observe(waited_s)

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
        for guard in outcome.guards:
            if guard.triggered:
                self._guards.labels(guard.name).inc()
        if outcome.verdicts:
            for principle, verdict in zip(principles, outcome.verdicts, strict=True):
                self._verdicts.labels(principle.category.value, str(verdict.met).lower()).inc()

    def exposition(self) -> bytes:
        """Prometheus text: this service's metrics, then those of the default registry (vLLM, process)."""
        return generate_latest(self.registry) + generate_latest(REGISTRY)
