"""The blocking client. Everything but the carrying of bytes is in `_calls`, `_answers` and `_flows`."""

import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
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
    AbandonedError,
    ItemResult,
    Plan,
    Progress,
    ScoreItem,
    ScoreOptions,
    checked_options,
    score_in_threads,
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


class RewardClient:
    """A connection to an edit-rrm service, or to several equal ones, safe to share between threads.

        with RewardClient("http://127.0.0.1:8000") as client:
            answer = client.score("make the red car blue", "source.png", ["a.png", "b.png"])
            print(rewards(answer))            # [0.62, None]: None where scoring failed

    `base_url` may be a list: a request goes to the service with the fewest outstanding ones; one that
    was not available is set aside for a while (`RetryPolicy.set_aside_s`, or its own `Retry-After`) and
    the call goes on to the next, within the same total deadline. Connections are kept and used again.

    `api_key` falls back to the environment's EDIT_RRM_API_KEY. `timeout_s` is the total deadline of a
    call with all its retries; the service is told what is left of it. `transport` chooses how images
    travel: "multipart" (their own bytes) or "base64" (inside the JSON, a third larger); `encoding` what
    pixels become: "png" and "webp-lossless" keep every one, "jpeg95" does not. `clock`, `sleep` and `dice`
    (draws from [0, 1)) are for tests. An `http_client` of your own brings its proxies and certificates and
    is not closed here.

    Every method may raise `EditRRMClientError`; its subclasses say which of the parties must act.
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
        http_client: httpx.Client | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._replicas = replicas_at(base_url, api_key, clock)
        self._timeout_s = timeout_s
        self._transport = checked_transport(transport)
        self._encoding = checked_encoding(encoding)
        self._retries = retries or RetryPolicy()
        self._owns_http = http_client is None
        self._http = http_client or connections_to(httpx.Client, self._replicas.urls)
        self._clock = clock
        self._sleep = sleep
        self._dice = dice

    @property
    def encoding(self) -> Encoding:
        """What pixels become on their way to the service."""
        return self._encoding

    def score(
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
        """Scores the candidates of one edit; a GRPO group is one call.

        `source` is one image, or a list of 1 to 4 in the order in which the instruction speaks of them;
        guards compare with the one at the index `source_of_guards`. A judge that takes fewer refuses them
        (`max_sources` of `models`).
        `results` has the candidates' order and length. A candidate that could not be scored is a
        `CandidateFailed` whose reward is None; the call raises only when there is no result at all.
        `principles=None` lets the service decompose the instruction; `samples=None` is the judge's number of
        samples, mostly 1; `thinking` is for judges that can think before they answer,
        `template_arguments` are of the model's chat template. `model` is one of
        `models` where a service has several. `deadline_s` replaces the client's `timeout_s` for this call.
        """
        call = score_call(
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
        return self._run(self._call(call, deadline_s))

    def score_group(
        self,
        instruction: str,
        source: SourceInput,
        candidates: Sequence[ImageInput],
        *,
        principles: Sequence[Principle] | None = None,
        on_error: OnError = "raise",
        **options: Unpack[ScoreOptions],
    ) -> list[float | None]:
        """The rewards of a group in [0, 1], in the candidates' order; options as in `score`.

        `on_error="raise"`: a candidate that could not be scored is a ScoringFailedError with its code.
        `on_error="none"`: its place holds None, and so does every place when the whole call failed for a
        reason that may pass (overload, no answer, the deadline, unusable model text); a warning is
        logged. A wrong request, image, key or address is raised either way.
        """
        checked_on_error(on_error)
        try:
            answer = self.score(instruction, source, candidates, principles=principles, **options)
        except EditRRMClientError as error:
            return rewards_of_failure(error, candidates, on_error)
        return rewards_of_answer(answer, on_error)

    def score_many(
        self,
        items: Iterable[ScoreItem],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        ordered: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
        **options: Unpack[ScoreOptions],
    ) -> Generator[ItemResult, None, None]:
        """Scores items as they are asked for, at most `concurrency` at once, and yields a result for each.

        Results come in the items' order or, with `ordered=False`, as each is done. An item that fails is
        an `ItemFailed` with its key and costs no other. `items` is read by the caller's thread, one at a
        time: at most 2 * `concurrency` items (`concurrency` unless ordered) are read ahead of the results
        taken. `on_progress` is called before each result. Options as in `score`, with bulk priority;
        `deadline_s` counts for each item from its own start.

        What `items` or `on_progress` raise ends the work, and so does closing the generator: no further
        request is begun. Calls already on the wire are not waited for; their threads end with them.
        """
        given = checked_options(options, concurrency)
        stop = threading.Event()

        def score(item: ScoreItem) -> ScoreAnswer:
            deadline_s = given.get("deadline_s")
            call = score_call(
                item.instruction,
                item.source,
                item.candidates,
                principles=item.principles,
                samples=given.get("samples"),
                sampling=given.get("sampling"),
                thinking=given.get("thinking"),
                template_arguments=given.get("template_arguments"),
                aggregator=given.get("aggregator"),
                guards=given.get("guards"),
                include=given.get("include", ()),
                priority=given.get("priority", "bulk"),
                source_of_guards=given.get("source_of_guards", 0),
                model=given.get("model"),
                transport=self._transport,
                encoding=self._encoding,
            )
            return self._run(self._call(call, deadline_s), stop)

        plan = Plan(concurrency, ordered, on_progress, self._clock)
        return score_in_threads(items, score, plan, stop)

    def decompose(
        self,
        instruction: str,
        source: SourceInput,
        *,
        sampling: Sampling | None = None,
        deadline_s: float | None = None,
        model: str | None = None,
    ) -> DecomposeAnswer:
        """The principles this edit would be judged by; given to `score`, they make calls comparable."""
        call = decompose_call(
            instruction,
            source,
            sampling=sampling,
            model=model,
            transport=self._transport,
            encoding=self._encoding,
        )
        return self._run(self._call(call, deadline_s))

    def models(self, *, deadline_s: float | None = None) -> ModelsAnswer:
        """What is served: digest, profile, defaults, limits, and what the scores are good for."""
        return self._run(self._call(models_call(), deadline_s))

    def health(self) -> Probe:
        """Whether the process (of several: one of them) lives. No retry; an unreachable one is `ok=False`."""
        return self._run(probe_flow("/health", self._replicas, self._retries))

    def ready(self) -> Probe:
        """Whether a score could run now (of several services: on one of them), and if not why. No retry."""
        return self._run(probe_flow("/ready", self._replicas, self._retries))

    def wait_until_ready(
        self,
        timeout_s: float = 300.0,
        on_progress: Callable[[Probe, float], None] | None = None,
        *,
        poll_s: float = 0.5,
    ) -> float:
        """Waits for /ready and returns the seconds it took; of several services, one is enough.

        Raises UnavailableError when `timeout_s` passed.

        `on_progress(probe, elapsed_s)` is called after every look; what it raises ends the wait.
        """
        return self._run(
            wait_flow(self._replicas, self._retries, timeout_s, poll_s, on_progress, self._clock)
        )

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
        return f"RewardClient({shown_address(self._replicas)})"

    def _call(self, call: Call[AnswerT], deadline_s: float | None) -> Flow[AnswerT]:
        total_s = self._timeout_s if deadline_s is None else deadline_s
        return call_flow(call, self._replicas, self._retries, total_s, self._clock, self._dice)

    def _run(self, flow: Flow[T], stop: threading.Event | None = None) -> T:
        """What the flow returns. Raises `AbandonedError` once `stop` is set, before the next step."""
        reply: Reply = None
        with closing(flow):  # an interrupted call gives its replica back at once
            while True:
                if stop is not None and stop.is_set():
                    raise AbandonedError
                try:
                    step = flow.send(reply)
                except StopIteration as end:
                    result: T = end.value
                    return result
                reply = self._carry_out(step, stop)

    def _carry_out(self, step: Step, stop: threading.Event | None) -> Reply:
        if isinstance(step, Wait):
            if stop is not None and self._sleep is time.sleep:
                stop.wait(step.seconds)
            else:
                self._sleep(step.seconds)
            return None
        try:
            return self._http.send(step.build(self._http))
        except httpx.RequestError as error:
            return error
