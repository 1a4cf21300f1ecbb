"""Patient HTTP calls: retried with jittered back-off, honouring Retry-After, until an answer can be read."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field

from edit_rrm.backoff import Backoff, parse_retry_after
from edit_rrm.proxies import open_http
from edit_rrm_training.errors import EndpointError, EndpointErrorKind

BUSY = frozenset({408, 409, 425, 429, *range(500, 600)})
"""Statuses that another attempt may change."""

T = TypeVar("T")
_MAX_RETRY_AFTER_S = 3600.0


class Patience(BaseModel):
    """How long and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout_s: float = Field(default=120.0, gt=0, description="of one attempt")
    attempts: int = Field(default=6, ge=1)
    initial_back_off_s: float = Field(default=1.0, gt=0, description="doubles with each failure")
    max_back_off_s: float = Field(default=60.0, gt=0, description="a longer Retry-After is still honoured")

    def back_off_s(self, failures: int, retry_after_s: float | None, dice: float) -> float:
        """Seconds to wait after the `failures`-th failure; see `Backoff.wait_s`."""
        return Backoff(self.initial_back_off_s, self.max_back_off_s).wait_s(failures, retry_after_s, dice)


class Caller:
    """Calls one service. `sleep` and `dice` are injected so that tests need not wait."""

    def __init__(
        self,
        name: str,
        base_url: str,
        patience: Patience,
        *,
        concurrency: int,
        headers: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._patience = patience
        self._sleep, self._dice = sleep, dice
        self._room = asyncio.Semaphore(concurrency)
        self._http = open_http(
            httpx.AsyncClient,
            [base_url],
            base_url=base_url.rstrip("/") + "/",
            headers=headers,
            timeout=patience.timeout_s,
            limits=httpx.Limits(max_connections=concurrency),
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def post(
        self,
        path: str,
        make_body: Callable[[], dict[str, Any]],
        read: Callable[[httpx.Response], T | None],
        answers: frozenset[int] = frozenset({200}),
    ) -> T:
        """What `read` makes of the first answer it can read, among those whose status is in `answers`.

        `make_body` runs in a thread, once there is room. Raises EndpointError: at once for a status that
        another attempt cannot change, else when the attempts are spent.
        """
        async with self._room:
            body = await asyncio.to_thread(make_body)
            for attempt in range(1, self._patience.attempts + 1):
                retry_after_s: float | None = None
                kind: EndpointErrorKind
                try:
                    response = await self._http.post(path, json=body)
                except httpx.TimeoutException:
                    kind, detail = "timeout", f"no answer within {self._patience.timeout_s:g} s"
                except httpx.TransportError as error:
                    kind, detail = "unreachable", repr(error)
                else:
                    detail = f"status {response.status_code}: {response.text[:200]!r}"
                    if response.status_code in answers:
                        answer = read(response)
                        if answer is not None:
                            return answer
                        kind = "overloaded" if response.status_code in BUSY else "malformed"
                    elif response.status_code in BUSY:
                        kind = "overloaded"
                        asked_s = parse_retry_after(response.headers.get("Retry-After"))
                        retry_after_s = None if asked_s is None else min(asked_s, _MAX_RETRY_AFTER_S)
                    else:
                        raise EndpointError("refused", f"{self._name}: {detail}", attempt)
                if attempt < self._patience.attempts:
                    await self._sleep(self._patience.back_off_s(attempt, retry_after_s, self._dice()))
            raise EndpointError(kind, f"{self._name}: {detail}", self._patience.attempts)
