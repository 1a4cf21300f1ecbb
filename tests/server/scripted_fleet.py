"""Servers of the OpenAI API that answer from a script, behind httpx's mock transport."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm_server.engines.affinity import Affinity
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.engines.openai.chat import ChatForm
from edit_rrm_server.engines.openai.engine import OpenAIEngine, RetryPlan
from edit_rrm_server.engines.openai.image_urls import ImageUrls
from edit_rrm_server.engines.openai.upstreams import Upstreams

Script = Callable[["Asked"], httpx.Response | Awaitable[httpx.Response]]
MODEL = "judge"
PROMPT = Prompt((Message("system", ("judge",)), Message("user", (ImageSlot.SOURCE, "blue?"))))
GREEDY = SamplingSettings(temperature=0.0, top_p=1.0, seed=0, max_tokens=16)


@dataclass(frozen=True)
class Asked:
    """One chat completion that was asked for."""

    host: str
    body: dict[str, Any]
    headers: httpx.Headers


class FleetRecorder:
    """Satisfies `UpstreamMetrics`: what was reported last, and every failed attempt."""

    def __init__(self) -> None:
        self.up: dict[str, bool] = {}
        self.outstanding: dict[str, int] = {}
        self.failed: list[tuple[str, str]] = []

    def upstream_up(self, upstream: str, up: bool) -> None:
        self.up[upstream] = up

    def upstream_outstanding(self, upstream: str, prompts: int) -> None:
        self.outstanding[upstream] = prompts

    def attempt_failed(self, upstream: str, code: str) -> None:
        self.failed.append((upstream, code))


class ScriptedFleet:
    """Hosts `a`, `b`, … that each answer by a script of their own; `down` ones refuse every connection.

    No time passes: `slept_s` holds the delays that an engine would have waited.
    """

    def __init__(self, **scripts: Script) -> None:
        self.scripts = scripts
        self.down: set[str] = set()
        self.silent: set[str] = set()
        self.models: Any = {"data": [{"id": MODEL, "max_model_len": 2048}]}
        self.asked: list[Asked] = []
        self.keys: set[str | None] = set()
        self.refused = 0
        self.aborted = 0
        self.slept_s: list[float] = []
        self.metrics = FleetRecorder()
        self.transport = httpx.MockTransport(self._answer)
        self.http = httpx.AsyncClient(transport=self.transport)
        urls = [f"http://{host}/v1" for host in scripts]
        self.upstreams = Upstreams(urls, self.http, Affinity(slack=4), self.metrics)

    @property
    def hosts(self) -> list[str]:
        """Who was asked for completions, in order."""
        return [asked.host for asked in self.asked]

    async def engine(self, retries: int = 4, **form: Any) -> OpenAIEngine:
        """An engine that has found out which upstreams are up."""
        self.upstreams.model = MODEL
        await self.upstreams.check()
        return OpenAIEngine(
            self.http,
            self.upstreams,
            ChatForm(**{"model": MODEL, "dialect": "vllm", "top_logprobs": 20, **form}),
            RetryPlan(retries, timeout_s=30.0),
            ImageUrls(2**20),
            check_interval_s=60.0,
            control=("<|im_end|>",),
            sleep=self._sleep,
        )

    async def _sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        self.keys.add(request.headers.get("Authorization"))
        if host in self.down:
            self.refused += 1
            raise httpx.ConnectError("refused")
        if host in self.silent:
            raise httpx.ReadTimeout("no answer")
        if request.url.path == "/v1/models":
            return httpx.Response(200, json=self.models)
        assert request.url.path == "/v1/chat/completions"
        asked = Asked(host, json.loads(request.content), request.headers)
        self.asked.append(asked)
        try:
            answer = self.scripts[host](asked)
            return answer if isinstance(answer, httpx.Response) else await answer
        except asyncio.CancelledError:
            self.aborted += 1
            raise


def chat_answer(text: str = "1. blue => 1", **changes: Any) -> dict[str, Any]:
    """An answer of one token a character, the other digit shown beside each digit, and an end token."""
    places = [_place(character) for character in text]
    places.append({"token": "<|im_end|>", "logprob": -0.01, "bytes": None, "top_logprobs": []})
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "logprobs": {"content": places},
    }
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": len(places),
        "prompt_tokens_details": {"cached_tokens": 64},
    }
    return {"id": "x", "choices": [{**choice, **changes}], "usage": usage}


def well(_: Asked) -> httpx.Response:
    """The script of an upstream that does what it should."""
    return httpx.Response(200, json=chat_answer())


def status(code: int, **headers: str) -> Script:
    """The script of one that always answers with this status."""
    body = {"error": {"message": "says the upstream", "code": code}}
    return lambda _: httpx.Response(code, json=body, headers=headers)


def raising(error: type[httpx.TransportError]) -> Script:
    """The script of one whose connections break."""

    def script(_: Asked) -> httpx.Response:
        raise error("broken")

    return script


def image(colour: tuple[int, int, int] = (220, 30, 30)) -> EditImage:
    """A small image."""
    from small_calls import picture

    return EditImage.from_pil(picture(colour))


def _place(character: str) -> dict[str, Any]:
    others = {"0": "1", "1": "0"}.get(character)
    shown = [{"token": character, "logprob": math.log(0.9), "bytes": list(character.encode())}]
    if others:
        shown.append({"token": others, "logprob": math.log(0.1), "bytes": list(others.encode())})
    return {**shown[0], "top_logprobs": shown}
