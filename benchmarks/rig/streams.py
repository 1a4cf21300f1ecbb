"""One POST /v1/score/stream, its answers read while its lines are written.

By aiohttp, which comes with vLLM; httpx would send the whole body first.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp


@dataclass
class Stream:
    """What came back. `keys` counts the answers to each line, from 0."""

    keys: Counter[int] = field(default_factory=Counter)
    cached: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    failed_keys: set[int] = field(default_factory=set)
    unread: int | None = None
    """The first line that a service did not read which was told to end."""
    took_s: float = 0.0

    def add(self, text: bytes) -> None:
        """Notes one answer line."""
        answer = json.loads(text)
        key = answer["line"] - 1
        if answer.get("error", {}).get("code") == "draining":
            self.unread = key
            return
        self.keys[key] += 1
        if "error" in answer:
            self.failures[answer["error"]["code"]] += 1
            self.failed_keys.add(key)
        else:
            self.cached += bool(answer["results"][0].get("cached"))

    def answered_once(self, lines: int) -> int:
        """How many of the lines have exactly one answer."""
        return sum(self.keys[key] == 1 for key in range(lines))


async def stream(
    url: str, line_of: Callable[[int], bytes], lines: int, pause_s: Callable[[int], float] | None = None
) -> Stream:
    """Writes and reads at once; after an answer the reader pauses as long as `pause_s` says of its number.

    Raises RuntimeError where the stream is refused.
    """

    async def body() -> AsyncIterator[bytes]:
        for number in range(lines):
            yield line_of(number)

    found = Stream()
    started = time.perf_counter()
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.post(
            f"{url}/v1/score/stream", data=body(), headers={"Content-Type": "application/x-ndjson"}
        ) as answer,
    ):
        if answer.status != 200:
            raise RuntimeError(f"the stream was refused: {answer.status} {await answer.text()}")
        number = 0
        async for text in answer.content:
            found.add(text)
            number += 1
            if pause_s is not None and (pause := pause_s(number)) > 0:
                await asyncio.sleep(pause)
    found.took_s = time.perf_counter() - started
    return found
