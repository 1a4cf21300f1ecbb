"""POST /v1/score/stream: a score request a line in, an answer a line out as each finishes, in any order.

Reading slows when the bulk lane is full, so a caller feels backpressure instead of errors. While a dead
engine is being restarted, the weights are replaced, or the caller has had more than its tokens a minute,
reading pauses: a hundred thousand lines must not turn into errors meanwhile.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from edit_rrm.errors import EditRRMError
from edit_rrm.wire import Key, Priority, Problem, StreamAnswer, StreamFailure, StreamRequest
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.admission.byte_budget import Share
from edit_rrm_server.admission.callers import Caller
from edit_rrm_server.api.answer_spool import AnswerSpool
from edit_rrm_server.api.score_call import answer_score
from edit_rrm_server.errors import (
    CallerGoneError,
    MemoryFullError,
    RequestRefusedError,
    ServiceError,
    UnavailableError,
)
from edit_rrm_server.http.connections import SERVICE_WAITS
from edit_rrm_server.http.envelope import Envelope
from edit_rrm_server.http.json_reading import key_of, read_json
from edit_rrm_server.http.ndjson import Line, read_lines
from edit_rrm_server.http.problems import problem
from edit_rrm_server.life.service import Service
from edit_rrm_server.scoring.plan import Plan
from edit_rrm_server.scoring.reward_service import RewardService

MEDIA_TYPE = "application/x-ndjson"
_STATE_POLL_S = 0.1
_DRAINING = UnavailableError(
    "draining", "the service is shutting down; this line and those after it were not read", 10.0
)

logger = logging.getLogger(__name__)


class ScoreStream(StreamingResponse):
    """A response that reads its own request while it answers. See the module."""

    def __init__(self, request: Request, service: Service) -> None:
        super().__init__((), media_type=MEDIA_TYPE)
        self._service = service
        self._state = request.state
        self._connection: dict[str, Any] = request.scope["state"]
        self._caller: Caller = request.state.caller
        self._id: str = request.state.request_id
        self._answers = AnswerSpool(service.settings.stream_spool_bytes, service.answer_budget)
        self._held = _Held(2 * service.batcher.window, service.settings.max_body_bytes)
        self._room = _LineRoom(service.body_budget.share(), service.settings.body_timeout_s)
        self._lines = 0
        self._failed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the stream; returns early when the caller closes the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = _Body(receive, lambda: self._service.state == "draining")
        try:
            with self._service.call(), self._room.share:
                async with asyncio.TaskGroup() as group:
                    working = group.create_task(self._work(body))
                    while (line := await self._answers.get()) is not None:
                        await send({"type": "http.response.body", "body": line, "more_body": True})
                    working.cancel()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except BaseExceptionGroup as group:
            if group.subgroup(CallerGoneError) is None:
                raise
            self._state.code = "caller_gone"
        finally:
            body.close()
            self._answers.discard()
            self._state.log = {"lines": self._lines, "failed": self._failed}

    async def _work(self, body: "_Body") -> None:
        """Reads lines and scores them, and watches all the while whether the caller stays."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(body.watch())
            async with asyncio.TaskGroup() as calls, aclosing(body.chunks()) as chunks:
                line = Line(0, b"")
                lines = read_lines(chunks, self._service.settings.max_body_bytes, self._room)
                try:
                    async for line in lines:
                        if line.text is not None and not line.text.strip():
                            self._room.free(line.size)
                            continue
                        self._lines += 1
                        stop = await self._take(line, calls)
                        if stop is not None:
                            await self._fail(line, None, stop)
                            break
                    else:
                        if not body.complete:
                            await self._fail(Line(line.number + 1, None), None, _DRAINING)
                except MemoryFullError as full:
                    detail = f"{full}; this line and those after it were not read"
                    unread = MemoryFullError(detail, full.retry_after_s)
                    await self._fail(Line(line.number + 1, None), None, unread)
            await self._answers.close()
            watching.cancel()

    async def _take(self, line: Line, calls: asyncio.TaskGroup) -> UnavailableError | None:
        """Starts one line's call as soon as there is room; the error that ends the stream, if any."""
        arrived_at = time.monotonic()
        if line.text is None:
            limit = self._service.settings.max_body_bytes
            error = RequestRefusedError("body_too_large", f"the line has more than {limit} bytes")
            await self._fail(line, None, error)
            return None
        try:
            body = await read_json(line.text, StreamRequest)
        except RequestRefusedError as refusal:
            await self._fail(line, await key_of(line.text), refusal)
            self._room.free(line.size)
            return None
        lane = self._caller.lane_for(body.priority)
        await self._held.take(line.size)
        try:
            rewards, plan = await self._admitted(body, lane)
        except BaseException as error:
            await self._held.give_back(line.size)
            self._room.free(line.size)
            if isinstance(error, UnavailableError):
                return error
            if isinstance(error, RequestRefusedError):
                await self._fail(line, body.key, error)
                return None
            raise
        # A line that names no deadline is not lost to a pause: what it has begins when it is let in.
        begins_at = arrived_at if body.deadline_s else time.monotonic()
        deadline_at = begins_at + (body.deadline_s or self._service.settings.default_deadline_s)
        admission = self._service.batcher.admit_unbounded(plan.jobs, lane, deadline_at, self._caller)
        calls.create_task(self._score(line, body, rewards, plan, admission, arrived_at))
        return None

    async def _admitted(self, body: StreamRequest, lane: Priority) -> tuple[RewardService, Plan]:
        """Who scores a line and what that takes, once there is room for it. Raises as `_engine` does."""
        while True:
            rewards = await self._engine(body.model)
            plan = rewards.plan(body)
            await self._service.batcher.stream_room(plan.jobs, lane, self._caller)
            if not self._pause_s() and self._service.rewards(body.model) is rewards:
                return rewards, plan  # else the weights were replaced meanwhile, or tokens are owed

    async def _engine(self, model: str | None) -> RewardService:
        """A model's reward service, once the engine runs and the caller owes no tokens.

        Raises UnavailableError if it never will again, RequestRefusedError for a model that is not served.
        """
        self._connection[SERVICE_WAITS] = True
        try:
            while (pause_s := self._pause_s()) > 0:  # noqa: ASYNC110  # it has several sources
                await asyncio.sleep(min(pause_s, _STATE_POLL_S))
        finally:
            self._connection[SERVICE_WAITS] = False
        return self._service.rewards(model)

    def _pause_s(self) -> float:
        """How long no line is let in, as far as one can know; 0 where one is, or none ever will be."""
        match self._service.state:
            case "engine_dead" | "loading":
                return _STATE_POLL_S
            case "ready":
                return self._service.allowances.owed_s(self._caller)
            case _:
                return 0.0

    async def _score(
        self,
        line: Line,
        body: StreamRequest,
        rewards: RewardService,
        plan: Plan,
        admission: Admission,
        arrived_at: float,
    ) -> None:
        try:
            with admission:
                envelope = Envelope(body, {}, line.size)
                call_id = f"{self._id}-{line.number}"
                answer = await answer_score(rewards, plan, envelope, call_id, arrived_at, admission)
        except (ServiceError, EditRRMError) as error:
            await self._fail(line, body.key, error)
        except Exception as error:  # a defect costs its own line, not the hundred thousand others
            logger.error("defect in request %s-%d: %s", self._id, line.number, type(error).__name__)
            await self._fail(line, body.key, ServiceError("see the service's log"))
        else:
            shown = StreamAnswer.model_construct(**dict(answer), key=body.key, line=line.number)
            await self._answers.put(shown.model_dump_json().encode() + b"\n")
        finally:
            await self._held.give_back(line.size)
            self._room.free(line.size)

    async def _fail(self, line: Line, key: Key, error: ServiceError | EditRRMError) -> None:
        self._failed += 1
        shown: Problem = problem(error.code, str(error), f"{self._id}-{line.number}")
        failure = StreamFailure(key=key, line=line.number, error=shown)
        await self._answers.put(failure.model_dump_json().encode() + b"\n")


class _LineRoom:
    """Room for lines among the bodies of all calls: whoever reads waits for it, for as long as a body may
    take.
    """

    def __init__(self, share: Share, timeout_s: float) -> None:
        self.share = share
        self._timeout_s = timeout_s

    async def wait(self, count: int) -> None:
        """Raises MemoryFullError."""
        await self.share.wait(count, timeout_s=self._timeout_s)

    def free(self, count: int) -> None:
        """A line, or a part of one that is too long, is done with."""
        self.share.free(min(count, self.share.held_bytes))


class _Held:
    """Lines whose calls are not over: as many as keep the engine full, as many bytes as one body may have."""

    def __init__(self, lines: int, size_bytes: int) -> None:
        self._lines = lines
        self._bytes = size_bytes
        self._changed = asyncio.Condition()

    async def take(self, size: int) -> None:
        """Waits for room; a line of up to the whole size finds it once the others are over."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._lines > 0 and self._bytes >= size)
            self._lines -= 1
            self._bytes -= size

    async def give_back(self, size: int) -> None:
        """A line's call is over."""
        async with self._changed:
            self._lines += 1
            self._bytes += size
            self._changed.notify_all()


class _Body:
    """The request's body as it comes, until `stop` says so, and the news that the caller has gone.

    The next message is always waited for, also while nobody takes it: it may be that news. One that is more
    of the body stays until it is taken, so that the caller feels backpressure.
    """

    def __init__(self, receive: Receive, stop: Callable[[], bool]) -> None:
        self._receive = receive
        self._stop = stop
        self._next: asyncio.Task[Message] | None = None
        self._gone = asyncio.Event()
        self._over = False  # nobody wants the rest of the body
        self.complete = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            while not self.complete:
                coming = self._wait_for_next()
                await asyncio.wait({coming}, timeout=_STATE_POLL_S)
                if not coming.done():
                    if self._stop():
                        return
                    continue
                message, self._next = coming.result(), None
                if message["type"] == "http.disconnect":
                    raise CallerGoneError("the caller closed the connection")
                self.complete = not message.get("more_body", False)
                self._wait_for_next()
                yield message.get("body", b"")
        finally:
            self._over = True
            if self._next is not None and self._next.done():
                self._look_at(self._next)

    async def watch(self) -> None:
        """Returns never: raises CallerGoneError or is cancelled."""
        await self._gone.wait()
        raise CallerGoneError("the caller closed the connection")

    def close(self) -> None:
        """The stream has ended."""
        self._over = False
        if self._next is not None:
            self._next.cancel()

    def _wait_for_next(self) -> "asyncio.Task[Message]":
        if self._next is None:
            self._next = asyncio.create_task(_message(self._receive))
            self._next.add_done_callback(self._look_at)
        return self._next

    def _look_at(self, came: "asyncio.Task[Message]") -> None:
        if came.cancelled() or came.exception() is not None:
            return
        if came.result()["type"] == "http.disconnect":
            self._gone.set()
        elif self._over:
            self._next = None
            self._wait_for_next()


async def _message(receive: Receive) -> Message:
    return await receive()
