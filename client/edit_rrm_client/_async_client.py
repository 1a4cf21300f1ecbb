"""The asyncio client: the same methods as `RewardClient`, awaited."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType

import httpx

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.principles import Principle
from edit_rrm.wire import DecomposeAnswer, GuardMode, ModelsAnswer, Priority, Sampling, ScoreAnswer
from edit_rrm_client._calls import Include, Transport, decompose_call, models_call, score_call
from edit_rrm_client._flows import Flow, Probe, Reply, Step, T, Wait, call_flow, probe_flow, wait_flow
from edit_rrm_client._images import ImageInput
from edit_rrm_client._retries import RetryPolicy
from edit_rrm_client._settings import DEFAULT_TIMEOUT_S, DEFAULT_URL, checked_transport, endpoint_for


class AsyncRewardClient:
    """`RewardClient` for asyncio: same arguments, same answers, same errors.

        async with AsyncRewardClient("http://127.0.0.1:8000") as client:
            answer = await client.score("make the red car blue", source, candidates)

    Images are read and encoded in a thread, so that the event loop keeps turning. A cancelled call
    closes its connection, and the service then stops working for it.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        transport: Transport = "multipart",
        retries: RetryPolicy | None = None,
        http_client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._endpoint = endpoint_for(base_url, api_key)
        self._timeout_s = timeout_s
        self._transport = checked_transport(transport)
        self._retries = retries or RetryPolicy()
        self._owns_http = http_client is None
        self._http = http_client or httpx.AsyncClient()
        self._clock = clock
        self._sleep = sleep
        self._dice = dice

    async def score(
        self,
        instruction: str,
        source: ImageInput,
        candidates: Sequence[ImageInput],
        *,
        principles: Sequence[Principle] | None = None,
        samples: int = 1,
        sampling: Sampling | None = None,
        aggregator: AggregatorName | None = None,
        guards: GuardMode = "enforce",
        include: Sequence[Include] = (),
        deadline_s: float | None = None,
        priority: Priority = "training",
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
            aggregator=aggregator,
            guards=guards,
            include=include,
            priority=priority,
            transport=self._transport,
        )
        return await self._run(
            call_flow(call, self._endpoint, self._retries, self._total_s(deadline_s), self._clock, self._dice)
        )

    async def decompose(
        self,
        instruction: str,
        source: ImageInput,
        *,
        sampling: Sampling | None = None,
        deadline_s: float | None = None,
    ) -> DecomposeAnswer:
        """See `RewardClient.decompose`."""
        call = await asyncio.to_thread(
            decompose_call, instruction, source, sampling=sampling, transport=self._transport
        )
        return await self._run(
            call_flow(call, self._endpoint, self._retries, self._total_s(deadline_s), self._clock, self._dice)
        )

    async def models(self, *, deadline_s: float | None = None) -> ModelsAnswer:
        """See `RewardClient.models`."""
        total_s = self._total_s(deadline_s)
        return await self._run(
            call_flow(models_call(), self._endpoint, self._retries, total_s, self._clock, self._dice)
        )

    async def health(self) -> Probe:
        """See `RewardClient.health`."""
        return await self._run(probe_flow("/health", self._endpoint))

    async def ready(self) -> Probe:
        """See `RewardClient.ready`."""
        return await self._run(probe_flow("/ready", self._endpoint))

    async def wait_until_ready(
        self,
        timeout_s: float = 300.0,
        on_progress: Callable[[Probe, float], None] | None = None,
        *,
        poll_s: float = 0.5,
    ) -> float:
        """See `RewardClient.wait_until_ready`."""
        return await self._run(wait_flow(self._endpoint, timeout_s, poll_s, on_progress, self._clock))

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
        return f"AsyncRewardClient({self._endpoint.base_url!r})"

    def _total_s(self, deadline_s: float | None) -> float:
        return self._timeout_s if deadline_s is None else deadline_s

    async def _run(self, flow: Flow[T]) -> T:
        reply: Reply = None
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
