"""What a call asks of the engine, worked out once: `Plan` before images are decoded, `Edit` after the source.

Both travel with the call; no room works out anew what stands here. Pure.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from edit_rrm.checkpoint import AggregatorName, RRMCard
from edit_rrm.guards import GuardModes, guard_modes
from edit_rrm.images import EditImage
from edit_rrm.judges.judge import Judge
from edit_rrm.principles import Principle
from edit_rrm.prompts import SOURCE_SLOTS, ImageSlot, TemplateArguments
from edit_rrm.wire import ScoreRequest
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.scoring.sampling import ask_sampling

_EXPECTED_PRINCIPLES = 10
"""Of a decomposition that has not run: what a judge reserves who asks about each."""


@dataclass(frozen=True)
class Plan:
    """A score request with the checkpoint's defaults filled in."""

    candidates: int
    principles: tuple[Principle, ...] | None
    """As given; None: the model is to decompose, if the judge needs any."""
    decomposes: bool
    sampling: tuple[SamplingSettings, ...]
    """Of each kind of ask, in the judge's order."""
    thinking: bool
    """Whether the model is to think before it answers."""
    template_arguments: TemplateArguments
    """The call's own, which go before all others."""
    may_grow: bool
    """Whether a text that is cut off may take more tokens: the caller has set no limit."""
    samples: int
    distinct_samples: int
    """Prompts a candidate and ask: greedy samples are one trace, run once."""
    asks: int
    """Asks a sample; estimated where they depend on principles that are not known yet."""
    aggregator: AggregatorName
    guards: GuardModes
    include: tuple[str, ...]
    """Sorted, each once."""

    @property
    def jobs(self) -> int:
        """The jobs to reserve: one per candidate, distinct sample and ask, one more to decompose."""
        return self.candidates * self.jobs_a_candidate + self.decomposes

    @property
    def jobs_a_candidate(self) -> int:
        """Of them, one candidate's."""
        return self.distinct_samples * self.asks

    @property
    def random(self) -> bool:
        """Whether the same call would be answered otherwise with another seed."""
        return any(sampling.temperature > 0.0 for sampling in self.sampling)


def plan_of(
    request: ScoreRequest,
    card: RRMCard,
    judge: Judge,
    *,
    structured: bool = True,
    thinking_by_default: bool | None = None,
    guards: GuardModes | None = None,
) -> Plan:
    """The plan of a request to the checkpoint with that card and judge.

    `structured`: answers in JSON are held to their form. `guards`: the operator's words, which go before the
    card's and after the request's. Raises RequestRefusedError (invalid_request) for
    what this judge does not take.
    """
    _refuse_what_it_does_not_take(request, judge)
    thinking, thinking_tokens = _thinking(request, judge, thinking_by_default)
    sampling = tuple(
        ask_sampling(
            kind,
            request.sampling,
            judge.sampling,
            card.sampling,
            structured=structured,
            thinking_tokens=thinking_tokens,
        )
        for kind in judge.kinds
    )
    samples = request.samples or judge.passes
    greedy = all(settings.temperature == 0.0 for settings in sampling)
    principles = None if request.principles is None else tuple(request.principles)
    count = _EXPECTED_PRINCIPLES if principles is None else len(principles)
    return Plan(
        candidates=len(request.candidates),
        principles=principles if judge.needs_principles else (),
        decomposes=judge.needs_principles and principles is None,
        sampling=sampling,
        thinking=thinking,
        template_arguments=tuple(sorted(request.template_arguments.items())),
        may_grow=request.sampling.max_tokens is None,
        samples=samples,
        distinct_samples=1 if greedy else samples,
        asks=sum(count if kind.each else 1 for kind in judge.kinds),
        aggregator=request.aggregator or judge.aggregator or card.aggregator,
        guards=guard_modes(card.guards, guards, request.guards),
        include=tuple(sorted(set(request.include))),
    )


def _thinking(request: ScoreRequest, judge: Judge, by_default: bool | None) -> tuple[bool, int]:
    """Whether the model is to think, and the tokens it has for that. Raises RequestRefusedError."""
    wanted, known = request.thinking, judge.thinking
    if known is None or any(kind.one_token for kind in judge.kinds):
        if wanted is not None and wanted.enabled:
            raise RequestRefusedError(
                "invalid_request", f"thinking: the judge {judge.name!r} knows no way to ask for it"
            )
        return False, 0
    enabled = known.enabled if by_default is None else by_default
    if wanted is not None:
        enabled = wanted.enabled
    budget = known.budget_tokens if wanted is None else wanted.budget_tokens or known.budget_tokens
    return enabled, budget if enabled else 0


def _refuse_what_it_does_not_take(request: ScoreRequest, judge: Judge) -> None:
    """Raises RequestRefusedError."""
    if judge.thinking is not None and judge.thinking.argument in request.template_arguments:
        raise RequestRefusedError(
            "invalid_request", f"template_arguments: {judge.thinking.argument} is said by `thinking` here"
        )
    if request.principles is not None and not judge.needs_principles:
        raise RequestRefusedError(
            "invalid_request",
            f"principles: the judge {judge.name!r} takes none, it has questions of its own",
        )
    if request.aggregator is not None and not judge.gives_verdicts:
        raise RequestRefusedError(
            "invalid_request",
            f"aggregator: the judge {judge.name!r} gives no verdicts to aggregate; its reward is its own",
        )
    if request.aggregator == "model_score" and not judge.gives_score:
        raise RequestRefusedError(
            "invalid_request",
            f"aggregator: the judge {judge.name!r} writes no score; use soft, weighted_mean or gated",
        )
    if len(request.all_sources) > judge.max_sources:
        raise RequestRefusedError(
            "invalid_request",
            f"sources: the judge {judge.name!r} takes {judge.max_sources}, got {len(request.all_sources)}",
        )


@dataclass(frozen=True)
class Edit:
    """Source images and what was asked of them; `group` is the same for all prompts that begin with both."""

    sources: tuple[EditImage, ...]
    instruction: str
    group: str  # 32 hex digits
    guarded: int = 0
    """Which source the guards compare with."""

    @classmethod
    def of(cls, sources: Sequence[EditImage], instruction: str, guarded: int = 0) -> "Edit":
        """The edit. Principles are no part of the group: their own decomposition uses the same sources."""
        digests = " ".join(source.digest for source in sources)
        digest = hashlib.sha256(f"{digests} {instruction}".encode()).hexdigest()
        return cls(tuple(sources), instruction, digest[:32], guarded)

    @property
    def compared(self) -> EditImage:
        """The source that the guards compare with, and the candidate's size may be that of."""
        return self.sources[self.guarded]

    @property
    def digests(self) -> tuple[str, ...]:
        """The sources' own."""
        return tuple(source.digest for source in self.sources)

    @property
    def images(self) -> dict[ImageSlot, EditImage]:
        """The sources in their slots."""
        return dict(zip(SOURCE_SLOTS, self.sources, strict=False))


@dataclass(frozen=True)
class ScoreKey:
    """Everything a candidate's score depends on; `model` names the weights' digest."""

    model: str
    sources: tuple[str, ...]  # digests
    guarded: int
    candidate: str  # digest
    instruction: str
    principles: tuple[Principle, ...]
    sampling: tuple[SamplingSettings, ...]
    template_arguments: TemplateArguments
    samples: int
    aggregator: AggregatorName
    guards: tuple[tuple[str, str], ...]
    include: tuple[str, ...]


@dataclass(frozen=True)
class Verification:
    """What is the same for all candidates of a call once its principles are known."""

    model: str
    plan: Plan
    edit: Edit
    principles: tuple[Principle, ...]

    def key(self, candidate: EditImage) -> ScoreKey | None:
        """Under what the score of a candidate may be kept; None when the sampling is random."""
        if self.plan.random:
            return None
        return ScoreKey(
            model=self.model,
            sources=self.edit.digests,
            guarded=self.edit.guarded,
            candidate=candidate.digest,
            instruction=self.edit.instruction,
            principles=self.principles,
            sampling=self.plan.sampling,
            template_arguments=self.plan.template_arguments,
            samples=self.plan.samples,
            aggregator=self.plan.aggregator,
            guards=tuple(sorted(self.plan.guards.items())),
            include=self.plan.include,
        )
