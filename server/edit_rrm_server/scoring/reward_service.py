"""`RewardService`: the only place that knows the order of a score.

Guards, then principles (given, cached or decomposed once), then one job per candidate and sample,
then judgements, then rewards. A candidate goes on as soon as its own guards are done: an engine that
waited for those of a whole group would stand idle. One that fails keeps its reason, never a number.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest

from edit_rrm.checkpoint import RRMCard
from edit_rrm.errors import ImageError
from edit_rrm.guards import EditGuards, GuardModes, GuardResult, reward_ceiling
from edit_rrm.images import EditImage, ImageLimits
from edit_rrm.judges.judge import Judge
from edit_rrm.wire import (
    CandidateScored,
    Priority,
    Sampling,
    ScoreAnswer,
    ScoreRequest,
    Timing,
    Usage,
)
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.admission.byte_budget import ByteBudget
from edit_rrm_server.errors import DeadlineExceededError, RequestRefusedError
from edit_rrm_server.observe import tracing
from edit_rrm_server.observe.scoring_metrics import ScoringMetrics
from edit_rrm_server.scoring.decomposition import Decomposed, Decomposer
from edit_rrm_server.scoring.image_intake import Encoded, File, ImageIntake
from edit_rrm_server.scoring.judging import candidate_answer, refused_by_guard
from edit_rrm_server.scoring.outcomes import (
    LATE,
    Found,
    Outcome,
    Settled,
    failed,
    finished,
    raise_common_failure,
)
from edit_rrm_server.scoring.plan import Edit, Plan, Verification, plan_of
from edit_rrm_server.scoring.sampling import sampling_of
from edit_rrm_server.scoring.score_cache import ScoreCache
from edit_rrm_server.scoring.time_limit import time_limit
from edit_rrm_server.scoring.usage import NO_USAGE, add_usage
from edit_rrm_server.scoring.verifying import Verifier

Decoded = EditImage | ImageError | RequestRefusedError
"""An image, or why it cannot be used: an ImageError its own candidate only, a refusal the whole call."""


@dataclass(frozen=True)
class ScoreCall:
    """A planned score request whose sources are decoded, and whose candidates are being decoded."""

    id: str
    plan: Plan
    edit: Edit
    candidates: Sequence[Awaitable[Decoded]]
    arrived_at: float  # monotonic seconds


class RewardService:
    """Scores calls on one engine. Raises ServiceError and EditRRMError (see errors.py)."""

    def __init__(
        self,
        card: RRMCard,
        judge: Judge,
        model_name: str,
        verifier: Verifier,
        decomposer: Decomposer,
        intake: ImageIntake,
        pictures: ByteBudget,
        limits: ImageLimits,
        cache: ScoreCache,
        metrics: ScoringMetrics,
        *,
        structured: bool = True,
        thinking_by_default: bool | None = None,
        guards: GuardModes | None = None,
    ) -> None:
        self._card = card
        self._judge = judge
        self._structured = structured
        self._thinking_by_default = thinking_by_default
        self._guards = guards
        self.model_name = model_name
        self.limits = limits
        self._verifier = verifier
        self._decomposer = decomposer
        self._intake = intake
        self._pictures = pictures
        self._cache = cache
        self._metrics = metrics

    @property
    def keeps_files(self) -> bool:
        """Whether the files of decoded images are needed until their call is over."""
        return self._intake.keeps_files

    def plan(self, request: ScoreRequest) -> Plan:
        """What a request asks of this checkpoint; its `jobs` are the ones to reserve.

        Raises RequestRefusedError for what the judge does not take.
        """
        return plan_of(
            request,
            self._card,
            self._judge,
            structured=self._structured,
            thinking_by_default=self._thinking_by_default,
            guards=self._guards,
        )

    @asynccontextmanager
    async def opened(
        self, encoded: Mapping[str, Encoded], admission: Admission
    ) -> AsyncIterator[dict[str, File]]:
        """The files of a call's images by their fields, and room to decode them while the context lasts.

        In place of a text that is not base64 stands why. Waits for the room, in the lanes' order. Raises
        RequestRefusedError (too_many_pixels) for a call that would not find it in an idle service.
        """
        async with time_limit(admission.deadline_at):
            opened = await self._intake.open(encoded, self.limits, admission.lane)
        room = self._pictures
        if opened.decoded_bytes > room.capacity_bytes:
            raise RequestRefusedError(
                "too_many_pixels",
                f"the images of this call take {opened.decoded_bytes} bytes as the model is shown them; "
                f"at most {room.capacity_bytes} are held at once",
            )
        with tracing.span("room", bytes=opened.decoded_bytes):
            async with time_limit(admission.deadline_at):
                await room.wait(opened.decoded_bytes, admission.lane, admission.deadline_at, admission.caller)
        try:
            yield opened.files
        finally:
            room.free(opened.decoded_bytes)

    async def decode(self, file: File, lane: Priority) -> EditImage:
        """An image as this model is shown it; `lane` says how urgent it is.

        Raises ImageError, and what stands in the place of a file.
        """
        if isinstance(file, RequestRefusedError):
            raise file
        return await self._intake.decode(file, self.limits, lane)

    async def decompose(self, edit: Edit, sampling: Sampling, admission: Admission) -> Decomposed:
        """The principles of an edit, drawn as `sampling` says or else the card.

        Raises RequestRefusedError where the judge asks questions of its own.
        """
        if not self._judge.needs_principles:
            raise RequestRefusedError(
                "invalid_request",
                f"the judge {self._judge.name!r} has questions of its own, and no principles",
            )
        return await self._decompose(edit, sampling, admission)

    async def score(self, call: ScoreCall, admission: Admission) -> ScoreAnswer:
        """The answer to a call that `admission` has room for, by its deadline.

        What is finished by then is kept. Raises DeadlineExceededError if nothing is.
        """
        with tracing.span("scoring", candidates=len(call.candidates), model=self.model_name):
            return await self._score(call, admission)

    async def _score(self, call: ScoreCall, admission: Admission) -> ScoreAnswer:
        plan = call.plan
        guards = self._intake.guards_of(call.edit.compared, call.edit.instruction, plan.guards)
        given = (
            None if plan.decomposes else Verification(self.model_name, plan, call.edit, plan.principles or ())
        )
        settling = [
            asyncio.create_task(self._settle(candidate, guards, plan, given, admission))
            for candidate in call.candidates
        ]
        judging: Sequence[asyncio.Task[tuple[Outcome, Usage]]] = ()
        found, verify_started = Found(plan.principles or (), "request" if plan.principles else "model"), None
        late: DeadlineExceededError | None = None
        try:
            async with time_limit(admission.deadline_at):
                found = await self._principles(call, await _any_unsettled(settling), admission)
                verify_started = time.monotonic()
                asked = given or Verification(self.model_name, plan, call.edit, found.principles)
                async with asyncio.TaskGroup() as group:
                    judging = [
                        group.create_task(self._outcome(asked, settled, admission)) for settled in settling
                    ]
        except DeadlineExceededError as error:
            late = error
            admission.expire()
        except BaseExceptionGroup as failures:
            refusals = [error for error in failures.exceptions if isinstance(error, RequestRefusedError)]
            if not refusals:
                raise
            raise refusals[0] from None
        finally:
            for task in settling:
                task.cancel()  # does nothing to a finished one
        verify_s = 0.0 if verify_started is None else time.monotonic() - verify_started

        ends = [finished(*tasks) for tasks in zip_longest(settling, judging)]
        outcomes = [LATE if end is None else end[0] for end in ends]
        for outcome in outcomes:
            self._metrics.candidate_judged(outcome, found.principles)
        self._metrics.group_scored([o.reward for o in outcomes if isinstance(o, CandidateScored)])
        if found.needed:
            self._metrics.phase_took("verify", verify_s)
        if late is not None and not any(ends):
            raise late
        raise_common_failure(outcomes)
        return ScoreAnswer(
            id=call.id,
            model=self.model_name,
            principles=list(found.principles),
            principles_from=found.origin,
            results=outcomes,
            usage=reduce(add_usage, (end[1] for end in ends if end is not None), found.usage),
            timing=Timing(
                queue_s=max(admission.longest_wait_s, found.queue_s),
                decompose_s=found.took_s,
                verify_s=verify_s,
                total_s=time.monotonic() - call.arrived_at,
            ),
        )

    async def _settle(
        self,
        decoding: Awaitable[Decoded],
        guards: EditGuards,
        plan: Plan,
        given: Verification | None,
        admission: Admission,
    ) -> Settled:
        """The guards' findings; a candidate they decide, that did not decode or is known gives back its jobs.

        `given` is there where the principles are known already: with them a score may be. Raises
        RequestRefusedError.
        """
        candidate = await decoding
        found: tuple[GuardResult, ...] = ()
        outcome: Outcome | None = None
        change_map = None
        if isinstance(candidate, RequestRefusedError):
            raise candidate
        if isinstance(candidate, EditImage):
            if "change_map" in plan.include:
                change_map = await self._intake.change_map(guards, candidate, admission.lane)
            outcome = None if given is None else self._known(given, candidate)
        if isinstance(candidate, ImageError):
            outcome = failed(candidate)
        elif outcome is None and any(mode != "off" for mode in plan.guards.values()):
            found = await self._intake.check(guards, candidate, admission.lane)
            if reward_ceiling(found) == 0.0:
                outcome = refused_by_guard(found)
        if outcome is not None:
            admission.release_room(plan.jobs_a_candidate)
        return Settled(candidate, found, outcome, change_map)

    def _known(self, asked: Verification, candidate: EditImage) -> CandidateScored | None:
        """The candidate's score of an earlier call."""
        key = asked.key(candidate)
        if key is None:
            return None
        known = self._cache.get(key)
        self._metrics.score_looked_up(known is not None)
        return known

    async def _principles(self, call: ScoreCall, needed: bool, admission: Admission) -> Found:
        """The principles that candidates are judged by. Not decomposed for nobody."""
        if call.plan.principles:
            return Found(call.plan.principles, needed=needed)
        if not needed or not call.plan.decomposes:
            return Found((), "model", needed=needed)
        started = time.monotonic()
        made = await self._decompose(call.edit, Sampling(), admission)
        took_s = time.monotonic() - started
        return Found(made.principles, made.origin, made.usage, made.queue_s, took_s, needed)

    async def _decompose(self, edit: Edit, wanted: Sampling, admission: Admission) -> Decomposed:
        """A score's own sampling has no say, or two calls of one group would be judged by two sets."""
        started = time.monotonic()
        sampling = sampling_of(self._card.decomposition or self._card.sampling, wanted)
        decomposed = await self._decomposer.principles(
            edit, sampling, admission, may_grow=wanted.max_tokens is None
        )
        self._metrics.phase_took("decompose", time.monotonic() - started)
        return decomposed

    async def _outcome(
        self, asked: Verification, settling: "asyncio.Task[Settled]", admission: Admission
    ) -> tuple[Outcome, Usage]:
        """One candidate with what was asked for beside its score."""
        settled = await settling
        outcome, usage = await self._judged(asked, settled, admission)
        return settled.shown(outcome), usage

    async def _judged(
        self, asked: Verification, settled: Settled, admission: Admission
    ) -> tuple[Outcome, Usage]:
        """Samples that failed are left out; if none succeeded, the candidate failed."""
        candidate = settled.candidate
        if settled.outcome is not None or isinstance(candidate, ImageError):
            assert settled.outcome is not None
            return settled.outcome, NO_USAGE
        known = self._known(asked, candidate) if asked.plan.decomposes else None  # else it was asked before
        if known is not None:
            admission.release_room(asked.plan.jobs_a_candidate)
            return known, NO_USAGE
        shown = candidate
        if self._judge.pictures.candidate == "source_size":
            shown = await self._intake.resized(candidate, asked.edit.compared, admission.lane)
        verified = await self._verifier.verify(asked, shown, admission)
        if not verified.samples:
            return failed(verified.failures[0]), verified.usage
        answer = candidate_answer(
            verified.samples,
            asked.principles,
            settled.guards,
            include=asked.plan.include,
            subscore_categories=self._judge.categories,
        )
        key = asked.key(candidate)
        if key is not None and verified.as_asked:
            self._cache.put(key, answer)
        return answer, verified.usage


async def _any_unsettled(settling: Sequence["asyncio.Task[Settled]"]) -> bool:
    """Whether a candidate needs the model; returns as soon as one does, while others are being checked."""
    for settled in asyncio.as_completed(settling):
        if (await settled).outcome is None:
            return True
    return False


def usable(decoded: Decoded) -> EditImage:
    """The image. Raises why it cannot be used."""
    if isinstance(decoded, EditImage):
        return decoded
    raise decoded
