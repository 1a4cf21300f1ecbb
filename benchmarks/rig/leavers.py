"""Callers that leave at random moments: within their request, while they wait, within their answer."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlsplit

from rig.calls import Body

STAY = 0.1
"""Share of those that wait for their answer after all."""


class Leavers:
    """`count` connections, all at once; each sends a body, or a part of it, and goes within `within_s`.

    Half of those that leave close their connection, the others reset it.
    """

    def __init__(self, url: str, bodies: Sequence[Body], seed: int, within_s: float) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._bodies = bodies
        self._seed = seed
        self._within_s = within_s
        self.came_to: Counter[str] = Counter()

    async def run(self, count: int) -> None:
        """All of them. What they came to is counted: by status, or how they left."""
        await asyncio.gather(*(self._one(number) for number in range(count)))

    async def _one(self, number: int) -> None:
        dice = random.Random(f"{self._seed}-{number}")
        body = dice.choice(self._bodies)
        head = (
            f"POST /v1/score HTTP/1.1\r\nHost: service\r\nContent-Type: {body.content_type}\r\n"
            f"Content-Length: {len(body.content)}\r\nConnection: close\r\n\r\n"
        )
        request = head.encode() + body.content
        await asyncio.sleep(dice.uniform(0, self._within_s / 2))
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError as error:
            self.came_to[f"not connected: {type(error).__name__}"] += 1
            return
        try:
            await self._talk(dice, request, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.came_to["the service ended the connection"] += 1
        finally:
            writer.transport.abort()

    async def _talk(
        self, dice: random.Random, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        stays = dice.random() < STAY
        sent = len(request) if stays or dice.random() < 0.7 else dice.randrange(len(request))
        writer.write(request[:sent])
        await writer.drain()
        if stays:
            answer = await reader.read()
            self.came_to[f"answered {answer[9:12].decode() or 'nothing'}"] += 1
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(dice.uniform(0, self._within_s / 2)):
                await reader.read(dice.randint(1, 200))
        if dice.random() < 0.5:
            writer.close()
        self.came_to["left within the request" if sent < len(request) else "left while it waited"] += 1
