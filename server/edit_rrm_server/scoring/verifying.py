"""`Verifier`: the samples of one candidate, each from as many attempts as are configured."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from edit_rrm.errors import EditRRMError, TraceError
from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt, PromptProfile
from edit_rrm.verdict_probability import VERDICT_TEXTS
from edit_rrm.wire import Usage
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.engines.engine import Engine
from edit_rrm_server.errors import ServiceError
from edit_rrm_server.observe import tracing
from edit_rrm_server.observe.scoring_metrics import ScoringMetrics
from edit_rrm_server.scoring.judging import Sample, read_sample
from edit_rrm_server.scoring.plan import Verification
from edit_rrm_server.scoring.sampling import Attempts
from edit_rrm_server.scoring.usage import NO_USAGE, add_usage, usage_of

Failure = ServiceError | EditRRMError


@dataclass(frozen=True)
class Verified:
    """A candidate's samples that succeeded, why the others did not, and what all of them cost."""

    samples: Sequence[Sample]
    failures: Sequence[Failure]
    usage: Usage


class Verifier:
    """Runs a candidate's jobs on the engine. See the module."""

    def __init__(
        self, engine: Engine, profile: PromptProfile, attempts: Attempts, metrics: ScoringMetrics
    ) -> None:
        self._engine = engine
        self._profile = profile
        self._attempts = attempts
        self._metrics = metrics

    async def verify(self, asked: Verification, candidate: EditImage, admission: Admission) -> Verified:
        """All samples of a candidate. Errors of single samples are part of the result, not raised."""
        plan = asked.plan
        prompt = self._profile.verify(asked.edit.instruction, asked.principles)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._sample(asked, prompt, candidate, index, admission))
                for index in range(plan.distinct_samples)
            ]
        drawn = [task.result() for task in tasks]
        samples = [found for found, _ in drawn if isinstance(found, Sample)]
        failures = [found for found, _ in drawn if not isinstance(found, Sample)]
        usage = reduce(add_usage, (used for _, used in drawn), NO_USAGE)
        return Verified(samples * (plan.samples // plan.distinct_samples), failures, usage)

    async def _sample(
        self, asked: Verification, prompt: Prompt, candidate: EditImage, index: int, admission: Admission
    ) -> tuple[Sample | Failure, Usage]:
        """One sample, or why the last attempt at it failed."""
        images = {ImageSlot.SOURCE: asked.edit.source, ImageSlot.CANDIDATE: candidate}
        usage = NO_USAGE
        failure: Failure | None = None
        for sampling in self._attempts.settings(asked.plan.sampling, sample=index):
            try:
                async with admission.slot():
                    completion = await self._engine.generate(
                        prompt, images, sampling, VERDICT_TEXTS, asked.edit.group
                    )
                usage = add_usage(usage, usage_of(completion))
                with tracing.span("judging", principles=len(asked.principles)):
                    sample = read_sample(completion, asked.principles, self._profile, asked.plan.aggregator)
                return sample, usage
            except TraceError as error:
                self._metrics.trace_unparsed()
                failure = error
            except ServiceError as error:  # not for another seed to mend: engines repeat what can be repeated
                return error, usage
        assert failure is not None
        return failure, usage
