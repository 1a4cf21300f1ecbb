"""Answers on their way to a slow reader: a few in memory, the rest in a temporary file, in order.

A caller may send everything before it reads anything (most HTTP clients do). Its answers must neither
fill the memory nor stop the reading of its requests, so they wait on disk. Where there is no room, on the
disk or by what all streams may have, they wait to be put in, which slows whoever asks for more.
"""

import asyncio
import logging
import os
import tempfile
from collections import deque
from contextlib import suppress
from typing import IO

from edit_rrm_server.admission.byte_budget import ByteBudget

_MEMORY_LINES = 256
_MEMORY_BYTES = 2**20
_RETRY_S = 1.0

logger = logging.getLogger(__name__)


class AnswerSpool:
    """A queue of lines. `capacity_bytes` bounds the file, `budget` what the spools of all streams hold."""

    def __init__(self, capacity_bytes: int, budget: ByteBudget) -> None:
        self._capacity_bytes = capacity_bytes
        self._share = budget.share()
        self._lines: deque[bytes] = deque()
        self._memory_bytes = 0
        self._file: IO[bytes] | None = None
        self._sizes: deque[int] = deque()  # of the lines in the file
        self._read_at = self._write_at = 0
        self._closed = False
        self._disk_failed = False
        self._changed = asyncio.Condition()

    @property
    def spooled_bytes(self) -> int:
        """What waits on disk."""
        return self._write_at - self._read_at

    async def put(self, line: bytes) -> None:
        """Adds a line, once there is room for it."""
        await self._share.wait(len(line))
        async with self._changed:
            while not self._added(line):
                with suppress(TimeoutError):  # a disk may be freed by others than the reader
                    async with asyncio.timeout(_RETRY_S):
                        await self._changed.wait()
            self._changed.notify_all()

    async def get(self) -> bytes | None:
        """The next line; None once the spool is closed and empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._lines or self.spooled_bytes or self._closed)
            line = self._from_memory() if self._lines else self._from_file()
            self._share.free(len(line or b""))
            self._changed.notify_all()
            return line

    async def close(self) -> None:
        """No further lines will come."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def discard(self) -> None:
        """Frees the file and the room."""
        self._share.free(self._share.held_bytes)
        if self._file is not None:
            self._file.close()

    def _added(self, line: bytes) -> bool:
        if not self.spooled_bytes and self._has_memory(len(line)):
            self._lines.append(line)
            self._memory_bytes += len(line)
            return True
        return self.spooled_bytes < self._capacity_bytes and self._is_spooled(line)

    def _has_memory(self, count: int) -> bool:
        return not self._lines or (
            len(self._lines) < _MEMORY_LINES and self._memory_bytes + count <= _MEMORY_BYTES
        )

    def _from_memory(self) -> bytes:
        line = self._lines.popleft()
        self._memory_bytes -= len(line)
        return line

    def _is_spooled(self, line: bytes) -> bool:
        """Writes a line to the file; not so where the disk is full, or fails otherwise."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="edit-rrm-stream-")  # noqa: SIM115  # discard closes it
            written = 0
            while written < len(line):
                written += os.pwrite(self._file.fileno(), line[written:], self._write_at + written)
        except OSError as error:
            if not self._disk_failed:
                logger.warning("a stream is read no further until its answers are, or fit: %s", error)
            self._disk_failed = True
            return False
        self._disk_failed = False
        self._write_at += len(line)
        self._sizes.append(len(line))
        return True

    def _from_file(self) -> bytes | None:
        if self._file is None or not self._sizes:
            return None
        line = os.pread(self._file.fileno(), self._sizes.popleft(), self._read_at)
        self._read_at += len(line)
        if not self._sizes:  # begin again, so that the file does not grow for ever
            self._read_at = self._write_at = 0
            self._file.truncate(0)
        return line
