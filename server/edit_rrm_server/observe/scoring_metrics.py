"""What scoring reports: phases, tokens, principles, verdicts, guards, rewards and the score cache."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from edit_rrm.principles import Category, Principle
from edit_rrm.wire import CandidateFailed, CandidateScored, Usage
from edit_rrm_server.observe.buckets import SECONDS, TENTHS

_SAME_REWARD = 1e-6


class ScoringMetrics:
    """Of the reward service, the decomposer and the verifier."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        self._phase_s = Histogram(
            "edit_rrm_phase_seconds",
            "Phases of a call: decompose, verify",
            ["phase"],
            buckets=SECONDS,
            registry=r,
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
        self._decided = Counter(
            "edit_rrm_guards_decided", "Guards that limited a reward", ["guard"], registry=r
        )
        self._reward = Histogram("edit_rrm_reward", "Rewards given", buckets=TENTHS, registry=r)
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
        for category in Category:
            for met in ("true", "false"):
                self._verdicts.labels(category.value, met)
        for kind in ("prompt", "cached_prompt", "completion"):
            self._tokens.labels(kind)
        for task in ("decompose", "verify"):
            self._unparsed.labels(task)
        for variance in ("zero", "some"):
            self._groups.labels(variance)
        for result in ("hit", "miss"):
            self._score_cache.labels(result)

    def watch_score_cache(self, size_bytes: Callable[[], int]) -> None:
        """Has the score cache's size read from this whenever metrics are."""
        self._cache_bytes.set_function(lambda: float(size_bytes()))

    def score_looked_up(self, hit: bool) -> None:
        """Whether the score cache knew a candidate of a deterministic call."""
        self._score_cache.labels("hit" if hit else "miss").inc()

    def decomposition_unparsed(self) -> None:
        """An attempt's text held no principles."""
        self._unparsed.labels("decompose").inc()

    def principles_served(self, origin: str) -> None:
        """A call got its principles from the cache or the model."""
        self._principles.labels(origin).inc()

    def trace_unparsed(self) -> None:
        """An attempt's text was no trace."""
        self._unparsed.labels("verify").inc()

    def phase_took(self, phase: str, duration_s: float) -> None:
        """`decompose` or `verify` of one call."""
        self._phase_s.labels(phase).observe(duration_s)

    def tokens_used(self, usage: Usage) -> None:
        """The engine has finished a text; what was aborted only vLLM's own metrics count."""
        self._tokens.labels("prompt").inc(usage.prompt_tokens)
        self._tokens.labels("cached_prompt").inc(usage.cached_prompt_tokens)
        self._tokens.labels("completion").inc(usage.completion_tokens)

    def group_scored(self, rewards: Sequence[float]) -> None:
        """The rewards of a call's candidates that have one; only two or more are a group."""
        if len(rewards) > 1:
            self._groups.labels("zero" if max(rewards) - min(rewards) < _SAME_REWARD else "some").inc()

    def candidate_judged(
        self, outcome: CandidateScored | CandidateFailed, principles: Sequence[Principle]
    ) -> None:
        """A candidate is done, with or without a reward."""
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
            if guard.decides:
                self._decided.labels(guard.name).inc()
        if outcome.verdicts:
            for principle, verdict in zip(principles, outcome.verdicts, strict=True):
                self._verdicts.labels(principle.category.value, str(verdict.met).lower()).inc()
