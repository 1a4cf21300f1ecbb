"""An endpoint that speaks the OpenAI chat API, over httpx: bounded, patient, and counting what it costs."""

import asyncio
import base64
import os
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field

from edit_rrm.images import encode_png
from edit_rrm.prompts import ImageSlot
from edit_rrm_training.data.pictures import load_image
from edit_rrm_training.errors import EndpointError, EndpointErrorKind, StepError
from edit_rrm_training.pipeline.endpoints import ChatAnswer, ChatRequest
from edit_rrm_training.pipeline.rows import Usage

_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class OpenAISettings(BaseModel):
    """An `[endpoints.NAME]` table of the configuration with `kind = "openai"`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["openai"] = "openai"
    base_url: str = Field(description="up to and with /v1")
    model: str
    api_key_env: str | None = Field(default=None, description="environment variable that holds the key")
    concurrency: int = Field(default=16, ge=1, description="requests under way at once")
    timeout_s: float = Field(default=120.0, gt=0, description="of one attempt")
    attempts: int = Field(default=6, ge=1)
    initial_back_off_s: float = Field(default=1.0, gt=0, description="doubles with each failure")
    max_back_off_s: float = Field(default=60.0, gt=0, description="a longer Retry-After is still honoured")
    price_per_million_prompt_tokens: float = Field(default=0.0, ge=0)
    price_per_million_completion_tokens: float = Field(default=0.0, ge=0)


def back_off_s(settings: OpenAISettings, failures: int, retry_after_s: float, dice: float) -> float:
    """Seconds to wait after the `failures`-th failure; `dice` lies in [0, 1) and spreads the callers out."""
    ceiling = min(settings.max_back_off_s, settings.initial_back_off_s * 2.0 ** min(failures - 1, 30))
    return max(ceiling / 2, retry_after_s) + dice * ceiling / 2


def read_retry_after_s(value: str | None, now: datetime) -> float:
    """Seconds from a Retry-After header, a number or an HTTP date; 0 when it says nothing usable."""
    if value is None:
        return 0.0
    try:
        return max(0.0, min(float(value), 3600.0))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())


class OpenAIEndpoint:
    """Satisfies `Endpoint`. `sleep` and `dice` are injected so that tests need not wait."""

    def __init__(
        self,
        name: str,
        settings: OpenAISettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.settings = settings
        self._sleep, self._dice = sleep, dice
        self._room = asyncio.Semaphore(settings.concurrency)
        headers = {}
        if settings.api_key_env is not None:
            key = os.environ.get(settings.api_key_env)
            if not key:
                raise StepError(
                    f"endpoint {name}: the environment variable {settings.api_key_env} holds no key"
                )
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.AsyncClient(
            base_url=settings.base_url.rstrip("/") + "/",
            headers=headers,
            timeout=settings.timeout_s,
            limits=httpx.Limits(max_connections=settings.concurrency),
        )

    @property
    def concurrency(self) -> int:
        """As configured."""
        return self.settings.concurrency

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """See `Endpoint`. Refusals that another attempt cannot change are raised at once."""
        async with self._room:
            body = await asyncio.to_thread(self._body, request)
            for attempt in range(1, self.settings.attempts + 1):
                retry_after_s = 0.0
                kind: EndpointErrorKind
                try:
                    response = await self._http.post("chat/completions", json=body)
                except httpx.TimeoutException:
                    kind, detail = "timeout", f"no answer within {self.settings.timeout_s:g} s"
                except httpx.TransportError as error:
                    kind, detail = "unreachable", repr(error)
                else:
                    if response.status_code == 200:
                        answer = self._read(response)
                        if answer is not None:
                            return answer
                        kind, detail = "malformed", f"not a chat completion: {response.text[:200]!r}"
                    else:
                        detail = f"status {response.status_code}: {response.text[:200]!r}"
                        if response.status_code not in _BUSY:
                            raise EndpointError("refused", f"{self.name}: {detail}", attempt)
                        kind = "overloaded"
                        retry_after = response.headers.get("Retry-After")
                        retry_after_s = read_retry_after_s(retry_after, datetime.now(UTC))
                if attempt < self.settings.attempts:
                    await self._sleep(back_off_s(self.settings, attempt, retry_after_s, self._dice()))
            raise EndpointError(kind, f"{self.name}: {detail}", self.settings.attempts)

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        pictures = {slot: load_image(ref, request.base_dir) for slot, ref in request.pictures.items()}
        urls = {
            slot: "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode()
            for slot, picture in pictures.items()
        }
        messages = [
            {
                "role": message.role,
                "content": [
                    {"type": "image_url", "image_url": {"url": urls[part]}}
                    if isinstance(part, ImageSlot)
                    else {"type": "text", "text": part}
                    for part in message.parts
                ],
            }
            for message in request.prompt.messages
        ]
        return {
            "model": self.settings.model, "messages": messages, "temperature": request.temperature,
            "seed": request.seed, "max_tokens": request.max_tokens,
        }  # fmt: skip

    def _read(self, response: httpx.Response) -> ChatAnswer | None:
        try:
            data = response.json()
            text = data["choices"][0]["message"]["content"]
            counted = data.get("usage") or {}
            prompt, completion = counted.get("prompt_tokens", 0), counted.get("completion_tokens", 0)
            prices = self.settings
            cost = (
                prompt * prices.price_per_million_prompt_tokens
                + completion * prices.price_per_million_completion_tokens
            ) / 1e6
            usage = Usage(requests=1, prompt_tokens=prompt, completion_tokens=completion, cost=cost)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return None
        return ChatAnswer(text, usage) if isinstance(text, str) else None
