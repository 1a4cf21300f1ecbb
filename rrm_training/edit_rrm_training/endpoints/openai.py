"""An endpoint that speaks the OpenAI chat API, and what its answers cost."""

import os
from typing import Any, Literal

import httpx
from pydantic import Field

from edit_rrm.images import encode_png
from edit_rrm.prompts import ImageSlot
from edit_rrm_training.data.pictures import data_url, load_image
from edit_rrm_training.endpoints.endpoint import ChatAnswer, ChatRequest
from edit_rrm_training.endpoints.http_calls import Caller, Patience
from edit_rrm_training.endpoints.usage import Usage
from edit_rrm_training.errors import StepError


class OpenAISettings(Patience):
    """An `[endpoints.NAME]` table of the configuration with `kind = "openai"`."""

    kind: Literal["openai"] = "openai"
    base_url: str = Field(description="up to and with /v1")
    model: str
    api_key_env: str | None = Field(default=None, description="environment variable that holds the key")
    concurrency: int = Field(default=16, ge=1, description="requests under way at once")
    price_per_million_prompt_tokens: float = Field(default=0.0, ge=0)
    price_per_million_completion_tokens: float = Field(default=0.0, ge=0)

    def headers(self, name: str) -> dict[str, str]:
        """Raises StepError when the key is not there."""
        if self.api_key_env is None:
            return {}
        key = os.environ.get(self.api_key_env)
        if not key:
            raise StepError(f"endpoint {name}: environment variable {self.api_key_env} holds no key")
        return {"Authorization": f"Bearer {key}"}


class OpenAIEndpoint:
    """Satisfies `Endpoint`."""

    def __init__(self, name: str, settings: OpenAISettings) -> None:
        self.name = name
        self.concurrency = settings.concurrency
        self._settings = settings
        self._caller = Caller(
            name, settings.base_url, settings,
            concurrency=settings.concurrency, headers=settings.headers(name),
        )  # fmt: skip

    async def close(self) -> None:
        """Closes the connections."""
        await self._caller.close()

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """See `Endpoint`."""
        return await self._caller.post("chat/completions", lambda: self._body(request), self._read)

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        urls = {
            slot: data_url(encode_png(load_image(reference, request.base_dir)))
            for slot, reference in request.pictures.items()
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
            "model": self._settings.model, "messages": messages, "temperature": request.temperature,
            "seed": request.seed, "max_tokens": request.max_tokens,
        }  # fmt: skip

    def _read(self, response: httpx.Response) -> ChatAnswer | None:
        """None for what is no chat completion. One without a text (refused, or all tokens spent on thinking)
        was paid for: it is an answer, of no words."""
        prices = self._settings
        try:
            data = response.json()
            text = data["choices"][0]["message"]["content"]
            counted = data.get("usage") or {}
            prompt, completion = counted.get("prompt_tokens", 0), counted.get("completion_tokens", 0)
            cost = (
                prompt * prices.price_per_million_prompt_tokens
                + completion * prices.price_per_million_completion_tokens
            ) / 1e6
            usage = Usage(requests=1, prompt_tokens=prompt, completion_tokens=completion, cost=cost)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return None
        return ChatAnswer(text or "", usage) if text is None or isinstance(text, str) else None
