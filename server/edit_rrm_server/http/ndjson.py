"""Lines of a body as it arrives, each bounded; a line that is too long is named, not kept."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

TURN_LINES = 32
"""Lines of a chunk, a body may be nothing but line ends, before others on the event loop have their turn."""


@dataclass(frozen=True)
class Line:
    """A line without its end. `number` counts from 1; `text` is None when it had too many bytes."""

    number: int
    text: bytes | None

    @property
    def size(self) -> int:
        """The bytes it holds."""
        return len(self.text or b"")


class Room(Protocol):
    """Where the bytes of lines are counted."""

    async def wait(self, count: int) -> None:
        """Takes bytes, once there is room."""
        ...

    def free(self, count: int) -> None:
        """Gives bytes back."""
        ...


async def read_lines(chunks: AsyncIterator[bytes], max_line_bytes: int, room: Room) -> AsyncIterator[Line]:
    """Every line of the chunks, empty ones too; the last needs no line end.

    `room` is asked before a chunk is taken in; of each line its size is left taken, to be given back by
    whoever is done with it.
    """
    number, kept, too_long = 1, bytearray(), False
    async for chunk in chunks:
        await room.wait(len(chunk))
        *ended, rest = chunk.split(b"\n")
        room.free(len(ended))  # the line ends
        for piece in ended:
            too_long = too_long or len(kept) + len(piece) > max_line_bytes
            if too_long:
                room.free(len(kept) + len(piece))
            yield Line(number, None if too_long else bytes(kept) + piece)
            number, too_long = number + 1, False
            if number % TURN_LINES == 0:
                await asyncio.sleep(0)
            kept.clear()
        too_long = too_long or len(kept) + len(rest) > max_line_bytes
        if too_long:
            room.free(len(kept) + len(rest))
            kept.clear()
        else:
            kept += rest
    if kept or too_long:
        yield Line(number, None if too_long else bytes(kept))
