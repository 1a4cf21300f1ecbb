"""What a call asks of the engine, worked out once: `Plan` before images are decoded, `Edit` after the source.

Both travel with the call; no room works out anew what stands here. Pure.
"""

import hashlib
from dataclasses import dataclass

from edit_rrm.checkpoint import AggregatorName, RRMCard
from edit_rrm.images import EditImage
from edit_rrm.principles import Principle
from edit_rrm.wire import GuardMode, ScoreRequest
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.scoring.sampling import distinct_samples, sampling_of


@dataclass(frozen=True)
class Plan:
    """A score request with the checkpoint's defaults filled in."""

    candidates: int
    principles: tuple[Principle, ...] | None
    """As given; None: the model is to decompose."""
    sampling: SamplingSettings
    samples: int
    distinct_samples: int
    """Prompts a candidate: greedy samples are one trace, run once."""
    aggregator: AggregatorName
    guards: GuardMode
    include: tuple[str, ...]
    """Sorted, each once."""

    @property
    def jobs(self) -> int:
        """The jobs to reserve: one per candidate and distinct sample, one more to decompose."""
        return self.candidates * self.distinct_samples + (self.principles is None)


def plan_of(request: ScoreRequest, card: RRMCard) -> Plan:
    """The plan of a request to the checkpoint with that card."""
    sampling = sampling_of(request.sampling, card.sampling)
    return Plan(
        candidates=len(request.candidates),
        principles=None if request.principles is None else tuple(request.principles),
        sampling=sampling,
        samples=request.samples,
        distinct_samples=distinct_samples(sampling, request.samples),
        aggregator=request.aggregator or card.aggregator,
        guards=request.guards,
        include=tuple(sorted(set(request.include))),
    )


@dataclass(frozen=True)
class Edit:
    """A source image and what was asked of it; `group` is the same for all prompts that begin with both."""

    source: EditImage
    instruction: str
    group: str  # 32 hex digits

    @classmethod
    def of(cls, source: EditImage, instruction: str) -> "Edit":
        """The edit. Principles are no part of the group: their own decomposition uses the same source."""
        digest = hashlib.sha256(f"{source.digest} {instruction}".encode()).hexdigest()
        return cls(source, instruction, digest[:32])


@dataclass(frozen=True)
class ScoreKey:
    """Everything a candidate's score depends on; `model` names the weights' digest."""

    model: str
    source: str  # digest
    candidate: str  # digest
    instruction: str
    principles: tuple[Principle, ...]
    sampling: SamplingSettings
    samples: int
    aggregator: AggregatorName
    guards: GuardMode
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
        if self.plan.sampling.temperature > 0:
            return None
        return ScoreKey(
            model=self.model,
            source=self.edit.source.digest,
            candidate=candidate.digest,
            instruction=self.edit.instruction,
            principles=self.principles,
            sampling=self.plan.sampling,
            samples=self.plan.samples,
            aggregator=self.plan.aggregator,
            guards=self.plan.guards,
            include=self.plan.include,
        )
