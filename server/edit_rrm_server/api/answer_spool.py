"""Answers on their way to a slow reader: a few in memory, the rest in a temporary file, in order.

A caller may send everything before it reads anything (most HTTP clients do). Its answers must neither
fill the memory nor stop the reading of its requests, so they wait on disk.
"""

import asyncio
import tempfile
from collections import deque
from typing import IO


class AnswerSpool:
    """A queue of lines. `memory_lines` stay in memory; `capacity_bytes` bounds the file."""

    def __init__(self, memory_lines: int, capacity_bytes: int) -> None:
        self._memory_lines = memory_lines
        self._capacity_bytes = capacity_bytes
        self._lines: deque[bytes] = deque()
        self._file: IO[bytes] | None = None
        self._read_at = self._write_at = 0
        self._closed = False
        self._changed = asyncio.Condition()

    @property
    def spooled_bytes(self) -> int:
        """What waits on disk."""
        return self._write_at - self._read_at

    async def put(self, line: bytes) -> None:
        """Adds a line; waits while the file is full, which slows whoever asks for more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.spooled_bytes < self._capacity_bytes)
            if self.spooled_bytes or len(self._lines) >= self._memory_lines:
                self._spool(line)
            else:
                self._lines.append(line)
            self._changed.notify_all()

    async def get(self) -> bytes | None:
        """The next line; None once the outbox is closed and empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._lines or self.spooled_bytes or self._closed)
            line = self._lines.popleft() if self._lines else self._unspool()
            self._changed.notify_all()
            return line

    async def close(self) -> None:
        """No further lines will come."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def discard(self) -> None:
        """Frees the file."""
        if self._file is not None:
            self._file.close()

    def _spool(self, line: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="edit-rrm-stream-")  # noqa: SIM115  # discard closes it
        self._file.seek(self._write_at)
        self._file.write(line)
        self._write_at += len(line)

    def _unspool(self) -> bytes | None:
        if self._file is None or not self.spooled_bytes:
            return None
        self._file.seek(self._read_at)
        line = self._file.readline()
        self._read_at += len(line)
        if not self.spooled_bytes:  # begin again, so that the file does not grow for ever
            self._read_at = self._write_at = 0
            self._file.truncate(0)
        return line
