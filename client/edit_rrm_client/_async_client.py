"""The asyncio client: the same methods as `RewardClient`, awaited."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from types import TracebackType
from typing import Unpack

import httpx

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.principles import Principle
from edit_rrm.wire import (
    DecomposeAnswer,
    Guards,
    Include,
    ModelsAnswer,
    Priority,
    Sampling,
    ScoreAnswer,
    Thinking,
)
from edit_rrm_client._calls import (
    AnswerT,
    Call,
    TemplateValues,
    Transport,
    decompose_call,
    models_call,
    score_call,
)
from edit_rrm_client._flows import Flow, Probe, Reply, Step, T, Wait, call_flow, probe_flow, wait_flow
from edit_rrm_client._groups import OnError, checked_on_error, rewards_of_answer, rewards_of_failure
from edit_rrm_client._images import Encoding, ImageInput, SourceInput
from edit_rrm_client._many import (
    DEFAULT_CONCURRENCY,
    ItemResult,
    Plan,
    Progress,
    ScoreItem,
    ScoreOptions,
    checked_options,
    score_in_tasks,
)
from edit_rrm_client._network import connections_to
from edit_rrm_client._retries import RetryPolicy
from edit_rrm_client._settings import (
    DEFAULT_TIMEOUT_S,
    DEFAULT_URL,
    checked_encoding,
    checked_transport,
    replicas_at,
    shown_address,
)
from edit_rrm_client.errors import EditRRMClientError


class AsyncRewardClient:
    """`RewardClient` for asyncio: same arguments, same answers, same errors.

        async with AsyncRewardClient("http://127.0.0.1:8000") as client:
            answer = await client.score("make the red car blue", source, candidates)

    Images are read and encoded in a thread, so that the event loop keeps turning. A cancelled call
    closes its connection, and the service then stops working for it.
    """

    def __init__(
        self,
        base_url: str | Sequence[str] = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        transport: Transport = "multipart",
        encoding: Encoding = "png",
        retries: RetryPolicy | None = None,
        http_client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._replicas = replicas_at(base_url, api_key, clock)
        self._timeout_s = timeout_s
        self._transport = checked_transport(transport)
        self._encoding = checked_encoding(encoding)
        self._retries = retries or RetryPolicy()
        self._owns_http = http_client is None
        self._http = http_client or connections_to(httpx.AsyncClient, self._replicas.urls)
        self._clock = clock
        self._sleep = sleep
        self._dice = dice

    @property
    def encoding(self) -> Encoding:
        """What pixels become on their way to the service."""
        return self._encoding

    async def score(
        self,
        instruction: str,
        source: SourceInput,
        candidates: Sequence[ImageInput],
        *,
        principles: Sequence[Principle] | None = None,
        samples: int | None = None,
        sampling: Sampling | None = None,
        thinking: Thinking | None = None,
        template_arguments: TemplateValues | None = None,
        aggregator: AggregatorName | None = None,
        guards: Guards | None = None,
        include: Sequence[Include] = (),
        deadline_s: float | None = None,
        priority: Priority = "training",
        source_of_guards: int = 0,
        model: str | None = None,
    ) -> ScoreAnswer:
        """See `RewardClient.score`."""
        call = await asyncio.to_thread(
            score_call,
            instruction,
            source,
            candidates,
            principles=principles,
            samples=samples,
            sampling=sampling,
            thinking=thinking,
            template_arguments=template_arguments,
            aggregator=aggregator,
            guards=guards,
            include=include,
            priority=priority,
            source_of_guards=source_of_guards,
            model=model,
            transport=self._transport,
            encoding=self._encoding,
        )
        return await self._run(self._call(call, deadline_s))

    async def score_group(
        self,
        instruction: str,
        source: SourceInput,
        candidates: Sequence[ImageInput],
        *,
        principles: Sequence[Principle] | None = None,
        on_error: OnError = "raise",
        **options: Unpack[ScoreOptions],
    ) -> list[float | None]:
        """See `RewardClient.score_group`."""
        checked_on_error(on_error)
        try:
            answer = await self.score(instruction, source, candidates, principles=principles, **options)
        except EditRRMClientError as error:
            return rewards_of_failure(error, candidates, on_error)
        return rewards_of_answer(answer, on_error)

    def score_many(
        self,
        items: Iterable[ScoreItem] | AsyncIterable[ScoreItem],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        ordered: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
        **options: Unpack[ScoreOptions],
    ) -> AsyncGenerator[ItemResult, None]:
        """As `RewardClient.score_many`, as an async generator; `items` may be asynchronous too.

        Closing it (`contextlib.aclosing`) or cancelling the task that waits for it cancels the calls on
        the wire, and the service stops working for them. An `items` that is not asynchronous is read on
        the event loop.
        """
        given = checked_options(options, concurrency)

        async def score(item: ScoreItem) -> ScoreAnswer:
            return await self.score(
                item.instruction, item.source, item.candidates, principles=item.principles, **given
            )

        return score_in_tasks(items, score, Plan(concurrency, ordered, on_progress, self._clock))

    async def decompose(
        self,
        instruction: str,
        source: SourceInput,
        *,
        sampling: Sampling | None = None,
        deadline_s: float | None = None,
        model: str | None = None,
    ) -> DecomposeAnswer:
        """See `RewardClient.decompose`."""
        call = await asyncio.to_thread(
            decompose_call,
            instruction,
            source,
            sampling=sampling,
            model=model,
            transport=self._transport,
            encoding=self._encoding,
        )
        return await self._run(self._call(call, deadline_s))

    async def models(self, *, deadline_s: float | None = None) -> ModelsAnswer:
        """See `RewardClient.models`."""
        return await self._run(self._call(models_call(), deadline_s))

    async def health(self) -> Probe:
        """See `RewardClient.health`."""
        return await self._run(probe_flow("/health", self._replicas, self._retries))

    async def ready(self) -> Probe:
        """See `RewardClient.ready`."""
        return await self._run(probe_flow("/ready", self._replicas, self._retries))

    async def wait_until_ready(
        self,
        timeout_s: float = 300.0,
        on_progress: Callable[[Probe, float], None] | None = None,
        *,
        poll_s: float = 0.5,
    ) -> float:
        """See `RewardClient.wait_until_ready`."""
        return await self._run(
            wait_flow(self._replicas, self._retries, timeout_s, poll_s, on_progress, self._clock)
        )

    async def close(self) -> None:
        """Closes the connections, unless the HTTP client came from outside."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> "AsyncRewardClient":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncRewardClient({shown_address(self._replicas)})"

    def _call(self, call: Call[AnswerT], deadline_s: float | None) -> Flow[AnswerT]:
        total_s = self._timeout_s if deadline_s is None else deadline_s
        return call_flow(call, self._replicas, self._retries, total_s, self._clock, self._dice)

    async def _run(self, flow: Flow[T]) -> T:
        reply: Reply = None
        with closing(flow):  # a cancelled call gives its replica back at once
            while True:
                try:
                    step = flow.send(reply)
                except StopIteration as end:
                    result: T = end.value
                    return result
                reply = await self._carry_out(step)

    async def _carry_out(self, step: Step) -> Reply:
        if isinstance(step, Wait):
            await self._sleep(step.seconds)
            return None
        try:
            return await self._http.send(step.build(self._http))
        except httpx.RequestError as error:
            return error
