"""The blocking client. Everything but the carrying of bytes is in `_calls`, `_answers` and `_flows`."""

import random
import time
from collections.abc import Callable, Sequence
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


class RewardClient:
    """A connection to one edit-rrm service, safe to share between threads.

        with RewardClient("http://127.0.0.1:8000") as client:
            answer = client.score("make the red car blue", "source.png", ["a.png", "b.png"])
            print(rewards(answer))            # [0.62, None]: None where scoring failed

    `api_key` falls back to the environment's EDIT_RRM_API_KEY. `timeout_s` is the total deadline of a
    call with all its retries; the service is told what is left of it. `transport` chooses how images
    travel: "multipart" (their own bytes) or "base64" (inside the JSON, a third larger). An
    `http_client` of your own brings its proxies and certificates and is not closed here.

    Every method may raise `EditRRMClientError`; its subclasses say which of the parties must act.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        transport: Transport = "multipart",
        retries: RetryPolicy | None = None,
        http_client: httpx.Client | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._endpoint = endpoint_for(base_url, api_key)
        self._timeout_s = timeout_s
        self._transport = checked_transport(transport)
        self._retries = retries or RetryPolicy()
        self._owns_http = http_client is None
        self._http = http_client or httpx.Client()
        self._clock = clock
        self._sleep = sleep
        self._dice = dice

    def score(
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
        """Scores the candidates of one edit; a GRPO group is one call.

        `results` has the candidates' order and length. A candidate that could not be scored is a
        `CandidateFailed` whose reward is None; the call raises only when there is no result at all.
        `principles=None` lets the service decompose the instruction. `deadline_s` replaces the
        client's `timeout_s` for this call.
        """
        call = score_call(
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
        return self._run(
            call_flow(call, self._endpoint, self._retries, self._total_s(deadline_s), self._clock, self._dice)
        )

    def decompose(
        self,
        instruction: str,
        source: ImageInput,
        *,
        sampling: Sampling | None = None,
        deadline_s: float | None = None,
    ) -> DecomposeAnswer:
        """The principles this edit would be judged by; given to `score`, they make calls comparable."""
        call = decompose_call(instruction, source, sampling=sampling, transport=self._transport)
        return self._run(
            call_flow(call, self._endpoint, self._retries, self._total_s(deadline_s), self._clock, self._dice)
        )

    def models(self, *, deadline_s: float | None = None) -> ModelsAnswer:
        """The loaded checkpoint: digest, profile, defaults, limits, and what its scores are good for."""
        total_s = self._total_s(deadline_s)
        return self._run(
            call_flow(models_call(), self._endpoint, self._retries, total_s, self._clock, self._dice)
        )

    def health(self) -> Probe:
        """Whether the process lives. One request, no retry; an unreachable service is `ok=False`."""
        return self._run(probe_flow("/health", self._endpoint))

    def ready(self) -> Probe:
        """Whether a score could run now, and if not why. One request, no retry."""
        return self._run(probe_flow("/ready", self._endpoint))

    def wait_until_ready(
        self,
        timeout_s: float = 300.0,
        on_progress: Callable[[Probe, float], None] | None = None,
        *,
        poll_s: float = 0.5,
    ) -> float:
        """Waits for /ready and returns the seconds it took; UnavailableError when `timeout_s` passed.

        `on_progress(probe, elapsed_s)` is called after every look; what it raises ends the wait.
        """
        return self._run(wait_flow(self._endpoint, timeout_s, poll_s, on_progress, self._clock))

    def close(self) -> None:
        """Closes the connections, unless the HTTP client came from outside."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> "RewardClient":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RewardClient({self._endpoint.base_url!r})"

    def _total_s(self, deadline_s: float | None) -> float:
        return self._timeout_s if deadline_s is None else deadline_s

    def _run(self, flow: Flow[T]) -> T:
        reply: Reply = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            reply = self._carry_out(step)

    def _carry_out(self, step: Step) -> Reply:
        if isinstance(step, Wait):
            self._sleep(step.seconds)
            return None
        try:
            return self._http.send(step.build(self._http))
        except httpx.RequestError as error:
            return error
