"""`OpenAIEngine`: prompts run on a fleet of servers of the OpenAI API (`vllm serve`, Ray Serve LLM, a cloud).

A prompt that fails at one upstream is tried at another, with growing delays once all were tried. Cancelling
a prompt closes its connection, which aborts it in vLLM.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from edit_rrm.backoff import Backoff
from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.engines.control_text import break_control, with_texts
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.engines.openai.chat import ChatForm, read_completion
from edit_rrm_server.engines.openai.image_urls import ImageUrls
from edit_rrm_server.engines.openai.upstream_errors import (
    UpstreamError,
    broken_off,
    none_up,
    refused,
    timed_out,
    unreachable,
    unusable,
)
from edit_rrm_server.engines.openai.upstreams import Upstream, Upstreams
from edit_rrm_server.observe import tracing

_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class RetryPlan:
    """How often a prompt is tried again; delays double from `backoff_s`, and an upstream may ask for more."""

    retries: int
    timeout_s: float
    backoff_s: float = 0.25
    max_backoff_s: float = 8.0

    def delay_s(self, failures: int, asked_s: float | None, dice: float) -> float:
        """Before another round of attempts; see `Backoff.wait_s`."""
        return Backoff(self.backoff_s, self.max_backoff_s).wait_s(failures, asked_s, dice)


class OpenAIEngine:
    """Satisfies `Engine`. It outlives its fleet: without any upstream it is not alive, but it never died."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        upstreams: Upstreams,
        form: ChatForm,
        plan: RetryPlan,
        images: ImageUrls,
        *,
        check_interval_s: float,
        control: Sequence[str] = (),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._upstreams = upstreams
        self._form = form
        self._plan = plan
        self._images = images
        self._control = control
        self._sleep = sleep
        self._ended = asyncio.Event()
        self._watching = asyncio.create_task(upstreams.watch(check_interval_s))

    @property
    def alive(self) -> bool:
        """Whether an upstream is up."""
        return not self._ended.is_set() and self._upstreams.any_up

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        """See `Engine.generate`. `watched` tokens are shown where they are among the most likely ones.

        No adapter is loaded here: a fleet serves each of its own as a model.
        """
        safe = with_texts(prompt, lambda text: break_control(text, self._control))
        urls = {slot: await self._images.url(images[slot]) for slot in dict.fromkeys(prompt.slots)}
        body = self._form.body(safe, urls, sampling)
        tried: set[Upstream] = set()
        failures = 0
        while True:
            try:
                with self._upstreams.use(group, tried) as upstream:
                    tried.add(upstream)
                    return await self._attempt(upstream, body)
            except UpstreamError as failure:
                failures += 1
                if failure.final or failures > self._plan.retries:
                    raise failure.error from failure
                if not any(u.up and u not in tried for u in self._upstreams.all):
                    tried.clear()
                    await self._sleep(self._plan.delay_s(failures, failure.wait_s, random.random()))

    @property
    def stalled_s(self) -> float:
        """A fleet's own servers watch over their engines."""
        return 0.0

    async def died(self) -> None:
        """Returns once it was stopped."""
        await self._ended.wait()

    async def stop(self) -> None:
        """Ends the checks and every prompt under way. The fleet stays."""
        self._ended.set()
        self._watching.cancel()
        await asyncio.wait([self._watching])
        await self._http.aclose()

    async def _attempt(self, upstream: Upstream, body: Sequence[bytes]) -> Completion:
        """The completion from this upstream. Raises UpstreamError."""
        with tracing.span("upstream", server=upstream.name):
            headers = {
                "Content-Type": "application/json",
                "Content-Length": str(sum(map(len, body))),
                **(tracing.headers() or {}),
            }
            try:
                answer = await self._http.post(
                    f"{upstream.url}/chat/completions",
                    content=_chunks(body),
                    headers=headers,
                    timeout=httpx.Timeout(self._plan.timeout_s, connect=5.0, pool=None),
                )
            except (httpx.ReadTimeout, httpx.WriteTimeout):
                raise timed_out(self._plan.timeout_s) from None
            except httpx.ConnectError:
                raise unreachable() from None
            except httpx.TransportError:
                raise broken_off() from None
            except httpx.HTTPError as error:
                raise unusable(type(error).__name__) from None
            except RuntimeError as error:  # the client was closed: the service ends
                raise UpstreamError(none_up(), final=True) from error
        if answer.status_code != 200:
            raise refused(answer.status_code, answer.headers.get("Retry-After"), _message(answer.content))
        return read_completion(answer.content)


async def _chunks(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    """A body a little at a time: a transport copies what it cannot send at once, again and again."""
    for piece in pieces:
        for start in range(0, len(piece), _CHUNK_BYTES):
            yield piece[start : start + _CHUNK_BYTES]


def _message(body: bytes) -> str:
    """What an upstream says of an error, in the two forms that are seen; "" for another."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    if isinstance(said, dict):
        said = said.get("error", said)
    return str(said.get("message", "")) if isinstance(said, dict) else ""
