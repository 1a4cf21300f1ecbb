"""`Verifier`: the samples of one candidate, each from as many attempts as are configured."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.errors import EditRRMError, TraceError
from edit_rrm.images import EditImage
from edit_rrm.principles import Principle
from edit_rrm.prompts import ImageSlot, Prompt, PromptProfile
from edit_rrm.verdict_probability import VERDICT_TEXTS
from edit_rrm.wire import Usage
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.engines.engine import DrawSettings, Engine
from edit_rrm_server.errors import EngineError, ServiceError
from edit_rrm_server.observe import tracing
from edit_rrm_server.scoring.grouping import group_id
from edit_rrm_server.scoring.judging import Sample, read_sample
from edit_rrm_server.scoring.sampling import Attempts, distinct_samples
from edit_rrm_server.scoring.usage import NO_USAGE, add_usage, usage_of

Failure = ServiceError | EditRRMError


class VerifyingMetrics(Protocol):
    """What verifying reports."""

    def trace_unparsed(self) -> None:
        """An attempt's text was no trace."""
        ...


@dataclass(frozen=True)
class Verification:
    """What is the same for all candidates of a call."""

    instruction: str
    source: EditImage
    principles: Sequence[Principle]
    draw: DrawSettings
    samples: int
    aggregator: AggregatorName


@dataclass(frozen=True)
class Verified:
    """A candidate's samples that succeeded, why the others did not, and what all of them cost."""

    samples: Sequence[Sample]
    failures: Sequence[Failure]
    usage: Usage


class Verifier:
    """Runs a candidate's jobs on the engine. See the module."""

    def __init__(
        self, engine: Engine, profile: PromptProfile, attempts: Attempts, metrics: VerifyingMetrics
    ) -> None:
        self._engine = engine
        self._profile = profile
        self._attempts = attempts
        self._metrics = metrics

    async def verify(self, asked: Verification, candidate: EditImage, admission: Admission) -> Verified:
        """All samples of a candidate. Errors of single samples are part of the result, not raised."""
        prompt = self._profile.verify(asked.instruction, asked.principles)
        distinct = distinct_samples(asked.draw, asked.samples)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._sample(asked, prompt, candidate, index, admission))
                for index in range(distinct)
            ]
        drawn = [task.result() for task in tasks]
        samples = [found for found, _ in drawn if isinstance(found, Sample)]
        failures = [found for found, _ in drawn if not isinstance(found, Sample)]
        usage = reduce(add_usage, (used for _, used in drawn), NO_USAGE)
        return Verified(samples * (asked.samples // distinct), failures, usage)

    async def _sample(
        self, asked: Verification, prompt: Prompt, candidate: EditImage, index: int, admission: Admission
    ) -> tuple[Sample | Failure, Usage]:
        """One sample, or why the last attempt at it failed."""
        images = {ImageSlot.SOURCE: asked.source, ImageSlot.CANDIDATE: candidate}
        usage = NO_USAGE
        failure: Failure | None = None
        for draw in self._attempts.draws(asked.draw, sample=index):
            try:
                async with admission.slot():
                    completion = await self._engine.generate(
                        prompt, images, draw, VERDICT_TEXTS, group_id(asked.source, asked.instruction)
                    )
                usage = add_usage(usage, usage_of(completion))
                with tracing.span("judging", principles=len(asked.principles)):
                    return read_sample(completion, asked.principles, self._profile, asked.aggregator), usage
            except TraceError as error:
                self._metrics.trace_unparsed()
                failure = error
            except EngineError as error:
                failure = error
            except ServiceError as error:  # another attempt would meet the same
                return error, usage
        assert failure is not None
        return failure, usage
