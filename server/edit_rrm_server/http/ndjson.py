"""Lines of a body as it arrives, each bounded; a line that is too long is named, not kept."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

TURN_LINES = 32
"""Lines of a chunk, a body may be nothing but line ends, before others on the event loop have their turn."""


@dataclass(frozen=True)
class Line:
    """A line without its end. `number` counts from 1; `text` is None when it had too many bytes."""

    number: int
    text: bytes | None


async def read_lines(chunks: AsyncIterator[bytes], max_line_bytes: int) -> AsyncIterator[Line]:
    """Every line of the chunks, empty ones too; the last needs no line end."""
    number, kept, too_long = 1, bytearray(), False
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            too_long = too_long or len(kept) + len(piece) > max_line_bytes
            yield Line(number, None if too_long else bytes(kept) + piece)
            number, too_long = number + 1, False
            if number % TURN_LINES == 0:
                await asyncio.sleep(0)
            kept.clear()
        too_long = too_long or len(kept) + len(rest) > max_line_bytes
        if too_long:
            kept.clear()
        else:
            kept += rest
    if kept or too_long:
        yield Line(number, None if too_long else bytes(kept))
