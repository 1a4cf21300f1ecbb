"""Where the dialects' requests are read and scored. Their clients take a refusal for the end of a run, so the
holding holds the connection: it waits for the engine, for the body's room and for the queue, in order of
arrival, up to `dialect_wait_s`; then it refuses as /v1 does.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from edit_rrm.errors import EditRRMError
from edit_rrm.wire import CandidateAnswer, CandidateFailed
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.admission.callers import Caller
from edit_rrm_server.admission.signal import Signal
from edit_rrm_server.api.dialects.items import Group, Item, groups_of, may_pass
from edit_rrm_server.api.score_call import answer_score
from edit_rrm_server.errors import RequestRefusedError, ServiceError, UnavailableError
from edit_rrm_server.http.access import note
from edit_rrm_server.http.connection import run_for_caller
from edit_rrm_server.http.envelope import Envelope, declared_bytes, read_envelope
from edit_rrm_server.http.json_bounds import BATCH_OF_EDITS
from edit_rrm_server.life.service import Service
from edit_rrm_server.scoring.outcomes import failed
from edit_rrm_server.scoring.plan import Plan
from edit_rrm_server.scoring.reward_service import RewardService

BodyModel = TypeVar("BodyModel", bound=BaseModel)
T = TypeVar("T")

_PASSING_STATES = ("loading", "engine_dead")
_STATE_POLL_S = 0.1
_RETRY_S = 5.0


@dataclass(frozen=True)
class Held:
    """What a call came to, and the model that it was scored by, as `/v1` names it."""

    model: str
    results: Sequence[CandidateAnswer]


class Holding:
    """See the module. One for all dialects of a service, so that they wait in the same lines."""

    def __init__(self, service: Service) -> None:
        self.service = service
        # First come, first served. Two lines: who has a body must not stand behind who waits for one.
        self._for_body = asyncio.Lock()
        self._overdraft = asyncio.Lock()
        self._for_queue = asyncio.Lock()

    @asynccontextmanager
    async def body(self, request: Request, model: type[BodyModel]) -> AsyncIterator[BodyModel]:
        """The request's body; until the context ends it keeps its room, and the call counts as running.

        Raises what `read_envelope` does, and UnavailableError.
        """
        service, settings = self.service, self.service.settings
        with service.call(), service.body_budget.share() as share:
            await self._engine(request)
            limit, room = settings.max_body_bytes, service.body_budget
            needed = min(limit, declared_bytes(request))  # more than the limit is refused unread
            await self._wait(request, self._for_body, lambda: room.has_room(needed), room.changed)
            waited_s = time.monotonic() - request.state.arrived_at
            envelope = await read_envelope(
                request,
                model,
                limit,
                timeout_s=settings.body_timeout_s + waited_s,
                share=share,
                bounds=BATCH_OF_EDITS,
                overdraft=self._overdraft,
            )
            note(request, body_bytes=envelope.body_bytes)
            yield envelope.body

    async def run(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which ends with the caller's connection and at the deadline."""
        return await run_for_caller(request, work, self.deadline_at(request))

    async def score(self, request: Request, items: Sequence[Item]) -> Held:
        """A result for each item, in order, and the model that gave them.

        Items of the same sources and instruction share a call. An edit that the judge does not take, such
        as one of too many sources, fails alone.

        To be run by `run`. Raises ServiceError for what may pass, whatever the other groups came to: a
        client that tries again finds their scores in the cache.
        """
        if not items:
            return Held(self.service.model.name, [])
        asked = await asyncio.to_thread(groups_of, items)
        batcher = self.service.batcher
        caller: Caller = request.state.caller
        while True:
            rewards = await self._engine(request)
            found: dict[int, CandidateAnswer] = {}
            groups: list[Group] = []
            plans: list[Plan] = []
            for group in asked:
                try:
                    plans.append(rewards.plan(group.request))
                except RequestRefusedError as error:
                    found.update(dict.fromkeys(group.places, failed(error)))
                else:
                    groups.append(group)
            jobs = sum(plan.jobs for plan in plans)
            has_room = partial(batcher.has_room, jobs, caller)
            await self._wait(request, self._for_queue, has_room, batcher.changed)
            if self.service.state not in _PASSING_STATES and self.service.rewards() is rewards:
                break  # else the weights are being replaced, or were: others may plan otherwise
        batcher.check_room(jobs, caller)
        deadline_at = self.deadline_at(request)
        lane = caller.lane_for("training")
        admissions = [batcher.admit_unbounded(plan.jobs, lane, deadline_at, caller) for plan in plans]
        try:
            async with asyncio.TaskGroup() as running:
                tasks = [
                    running.create_task(self._score_group(request, number, group, rewards, plan, admission))
                    for number, (group, plan, admission) in enumerate(
                        zip(groups, plans, admissions, strict=True)
                    )
                ]
        finally:
            for admission in admissions:
                batcher.leave(admission)  # of a group that was cancelled before it began
        for group, task in zip(groups, tasks, strict=True):
            found.update(zip(group.places, task.result(), strict=True))
        results = [found[place] for place in range(len(items))]
        note(request, items=len(items), groups=len(asked), failed=sum(r.reward is None for r in results))
        _raise_passing(results)
        return Held(rewards.model_name, results)

    async def _score_group(
        self,
        request: Request,
        number: int,
        group: Group,
        rewards: RewardService,
        plan: Plan,
        admission: Admission,
    ) -> Sequence[CandidateAnswer]:
        state = request.state
        try:
            with admission:
                envelope = Envelope(group.request, {}, 0)
                call_id = f"{state.request_id}-{number}"
                answer = await answer_score(rewards, plan, envelope, call_id, state.arrived_at, admission)
        except (ServiceError, EditRRMError) as error:
            return [failed(error)] * len(group.places)
        return answer.results

    async def _engine(self, request: Request) -> RewardService:
        """The reward service, once the engine runs. Raises UnavailableError."""
        while (  # noqa: ASYNC110  # the state has several sources
            self._left_s(request) > 0 and self.service.state in _PASSING_STATES
        ):
            await asyncio.sleep(_STATE_POLL_S)
        return self.service.rewards()

    async def _wait(
        self, request: Request, line: asyncio.Lock, has_room: Callable[[], bool], changed: Signal
    ) -> None:
        """Returns when there is room and it is this request's turn in the line, or when the time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._left_s(request)), line:
                while not has_room():
                    await changed.told()

    def _left_s(self, request: Request) -> float:
        until: float = request.state.arrived_at + self.service.settings.dialect_wait_s
        return max(0.0, until - time.monotonic())

    def deadline_at(self, request: Request) -> float:
        """When a call ends, in monotonic seconds: its dialect has no deadline of its own."""
        arrived_at: float = request.state.arrived_at
        return arrived_at + self.service.settings.default_deadline_s


def _raise_passing(results: Sequence[CandidateAnswer]) -> None:
    for result in results:
        if isinstance(result, CandidateFailed) and may_pass(result.error.code):
            raise UnavailableError(result.error.code, result.error.detail, _RETRY_S)
