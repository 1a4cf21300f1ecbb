"""`Verifier`: the samples of one candidate, each from an answer to every ask of the judge."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import Any, TypeVar

from edit_rrm.errors import TraceError, TraceTruncatedError
from edit_rrm.images import EditImage
from edit_rrm.judges.judge import Ask, Judge, Judgement, Reading, Written
from edit_rrm.prompts import ImageSlot
from edit_rrm.wire import Usage
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.observe import tracing
from edit_rrm_server.observe.scoring_metrics import ScoringMetrics
from edit_rrm_server.scoring.attempts import Drawn, Failure, attempted
from edit_rrm_server.scoring.plan import Verification
from edit_rrm_server.scoring.sampling import Attempts, sample_seed
from edit_rrm_server.scoring.turns import Turns
from edit_rrm_server.scoring.usage import NO_USAGE, add_usage

T = TypeVar("T")


@dataclass(frozen=True)
class Verified:
    """A candidate's samples that succeeded, why the others did not, and what all of them cost.

    `as_asked`: no text of it had to be drawn with another seed.
    """

    samples: Sequence[Judgement]
    failures: Sequence[Failure]
    usage: Usage
    as_asked: bool = True


class Verifier:
    """Runs a candidate's jobs on the engine. See the module."""

    def __init__(
        self,
        turns: Turns,
        judge: Judge,
        attempts: Attempts,
        metrics: ScoringMetrics,
        template_arguments: Mapping[str, bool | int | float | str] = MappingProxyType({}),
    ) -> None:
        self._turns = turns
        self._judge = judge
        self._attempts = attempts
        self._metrics = metrics
        self._template_arguments = template_arguments

    async def verify(self, asked: Verification, candidate: EditImage, admission: Admission) -> Verified:
        """All samples of a candidate. Errors of single samples are part of the result, not raised."""
        plan, edit = asked.plan, asked.edit
        asks = self._judge.asks(edit.instruction, asked.principles, len(edit.sources), thinking=plan.thinking)
        admission.release_room(plan.jobs_a_candidate - plan.distinct_samples * len(asks))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._sample(asked, asks, candidate, index, admission))
                for index in range(plan.distinct_samples)
            ]
        drawn = [task.result() for task in tasks]
        samples = [sample.read for sample in drawn if sample.read is not None]
        failures = [sample.failure for sample in drawn if sample.failure is not None]
        usage = reduce(add_usage, (sample.usage for sample in drawn), NO_USAGE)
        as_asked = not any(sample.redrawn for sample in drawn)
        return Verified(samples * (plan.samples // plan.distinct_samples), failures, usage, as_asked)

    async def _sample(
        self,
        asked: Verification,
        asks: Sequence[Ask],
        candidate: EditImage,
        index: int,
        admission: Admission,
    ) -> Drawn[Judgement]:
        """One sample, or why the first of its asks failed. The other asks are answered then all the same.

        One ask is drawn again where its answer makes no judgement. Asks about each principle share
        all but their end, so the first goes ahead and the others find its prefix in the engine's cache.
        """

        def judged(readings: Sequence[Reading]) -> Judgement:
            return self._judge.judgement(readings, asked.principles, asked.plan.aggregator)

        def answer(ask: Ask, make: Callable[[Reading], T]) -> Coroutine[Any, Any, Drawn[T]]:
            return self._answer(asked, ask, candidate, index, admission, make)

        if len(asks) == 1:
            return await answer(asks[0], lambda reading: judged([reading]))
        ahead = 1 if asks[0].kind.each else 0
        answers = [await answer(ask, _as_read) for ask in asks[:ahead]]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(ask, _as_read)) for ask in asks[ahead:]]
        answers += [task.result() for task in tasks]
        usage = reduce(add_usage, (answer.usage for answer in answers), NO_USAGE)
        redrawn = any(answer.redrawn for answer in answers)
        readings = [answer.read for answer in answers if answer.read is not None]
        failures = [answer.failure for answer in answers if answer.failure is not None]
        if failures:
            return Drawn(None, failures[0], usage, redrawn)
        try:
            return Drawn(judged(readings), None, usage, redrawn)
        except TraceError as error:
            return Drawn(None, error, usage, redrawn)

    async def _answer(
        self,
        asked: Verification,
        ask: Ask,
        candidate: EditImage,
        index: int,
        admission: Admission,
        make: Callable[[Reading], T],
    ) -> Drawn[T]:
        """What `make` makes of the answer to one ask, or why the last attempt at it failed."""
        images = {**asked.edit.images, ImageSlot.CANDIDATE: candidate}
        kind = self._judge.kinds.index(ask.kind)
        prompt = ask.prompt.told(self._template_arguments).overruled(asked.plan.template_arguments)

        async def generate(sampling: SamplingSettings) -> Completion:
            return await self._turns.generate(
                admission, prompt, images, sampling, ask.watched, asked.edit.group
            )

        def read(completion: Completion) -> T:
            with tracing.span("judging", principles=len(asked.principles)):
                try:
                    written = Written(completion.text, completion.tokens, completion.thought_opened)
                    return make(self._judge.read(ask, written, asked.principles))
                except TraceError:
                    self._metrics.trace_unparsed()
                    raise

        def cut_off(completion: Completion) -> TraceTruncatedError | None:
            if completion.finish_reason == "stop" or ask.kind.one_token:
                return None
            self._metrics.trace_unparsed()
            return TraceTruncatedError(
                f"the judge's text was cut off after {completion.completion_tokens} tokens", completion.text
            )

        return await attempted(
            self._attempts,
            sample_seed(asked.plan.sampling[kind], index),
            generate,
            read,
            cut_off=cut_off,
            may_grow=asked.plan.may_grow,
            may_redraw=not ask.kind.one_token,
        )


def _as_read(reading: Reading) -> Reading:
    return reading
