"""A link that delays, cuts what is sent into pieces, and breaks: a TCP proxy, for where `tc netem` is not.

Every fate is drawn from the seed and the connection's number.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass

_READ_BYTES = 65536


@dataclass(frozen=True)
class Weather:
    """How bad it is. `breaks` is the share of connections that are reset within so many bytes."""

    delay_s: float = 0.03
    piece_bytes: int = 1400
    breaks: float = 1.0
    breaks_within_bytes: int = 400_000


class BadLink:
    """A context manager; `url` leads to `port` of this machine."""

    def __init__(self, port: int, seed: int, weather: Weather | None = None) -> None:
        self._port = port
        self._seed = seed
        self._weather = weather or Weather()
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.broken = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> "BadLink":
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self.connections += 1
        dice = random.Random(f"{self._seed}-{self.connections}")
        lasts = _Life(dice, self._weather)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            self._running.discard(task)
            return
        try:
            ways = [
                asyncio.create_task(self._one_way(reader, far_writer, dice, lasts)),
                asyncio.create_task(self._one_way(far_reader, writer, dice, lasts)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            if lasts.is_over:
                self.broken += 1
            for end in (writer, far_writer):
                # A reset as a link that broke; where a side has ended, the other one is told as it would be.
                end.transport.abort() if lasts.is_over else end.close()
            self._running.discard(task)

    async def _one_way(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dice: random.Random, lasts: "_Life"
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_READ_BYTES):
                await asyncio.sleep(dice.uniform(0, 2 * self._weather.delay_s))
                while data:
                    count = dice.randint(1, self._weather.piece_bytes)
                    piece, data = data[:count], data[count:]
                    lasts.carry(len(piece))
                    if lasts.is_over:
                        return
                    writer.write(piece)
                    await writer.drain()


class _Life:
    """How much a connection carries before it breaks, if it does."""

    def __init__(self, dice: random.Random, weather: Weather) -> None:
        breaks = dice.random() < weather.breaks
        self._left = dice.randrange(weather.breaks_within_bytes) if breaks else None

    def carry(self, count: int) -> None:
        """So many bytes more."""
        if self._left is not None:
            self._left -= count

    @property
    def is_over(self) -> bool:
        """Whether it breaks now."""
        return self._left is not None and self._left < 0
