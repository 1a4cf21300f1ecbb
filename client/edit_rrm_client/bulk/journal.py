"""The journal of a job: an append-only file beside the output in which every result is kept as it comes.

Line one says which job it is; every other line is a result row. The newest line of a key counts. A kill
can tear only the last line, which is cut off when the journal is opened again. One process writes it at
a time. It holds no images.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from edit_rrm_client.bulk.asking import ScoreSettings
from edit_rrm_client.bulk.durable import sync_folder
from edit_rrm_client.bulk.errors import ResumeRefusedError
from edit_rrm_client.bulk.keys import Recorded, RecordIndex
from edit_rrm_client.bulk.rows import IMAGE_COLUMNS, ResultRow

SYNC_ROWS = 256
SYNC_S = 1.0


class JobHeader(BaseModel):
    """Which job a journal belongs to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    input_digest: str
    settings: ScoreSettings


class Journal:
    """Open for one job. `rrm` is the reward model of the rows in it, None while there are none.

    Raises ResumeRefusedError when it is another job's, another process writes it, or a line other than
    the last is damaged.
    """

    def __init__(
        self,
        path: Path,
        header: JobHeader,
        *,
        restart: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._clock = clock
        self._index = RecordIndex()
        self.rrm: str | None = None
        self.rows = 0
        """Keys with a record."""
        self._file = path.open("a+b")
        try:
            _lock(self._file, path)
            if restart:
                self._file.truncate(0)
            self._end = self._load(header)
        except BaseException:
            self.close()
            raise
        self._unsynced_rows = 0
        self._synced_s = clock()

    def get(self, key: str) -> Recorded | None:
        """What is recorded under `key`."""
        return self._index.get(key)

    def read(self, record: Recorded) -> ResultRow:
        """The result row of a record."""
        self._file.seek(record.offset)
        return ResultRow.model_validate_json(self._file.readline())

    def append(self, rows: Sequence[ResultRow]) -> None:
        """Keeps the rows: handed to the system at once, forced to the disk every 256 rows or second."""
        lines = [row.model_dump_json(exclude=set(IMAGE_COLUMNS)).encode() + b"\n" for row in rows]
        self._file.write(b"".join(lines))
        self._file.flush()
        for row, line in zip(rows, lines, strict=True):
            self._put(row.key, Recorded(self._end, row.status), row.rrm)
            self._end += len(line)
        self._unsynced_rows += len(rows)
        if self._unsynced_rows >= SYNC_ROWS or self._clock() - self._synced_s >= SYNC_S:
            self.sync()

    def sync(self) -> None:
        """Forces what was kept to the disk."""
        os.fsync(self._file.fileno())
        self._unsynced_rows, self._synced_s = 0, self._clock()

    def close(self) -> None:
        """Syncs and lets another process have it."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()
        self._index.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, key: str, record: Recorded, rrm: str | None) -> None:
        self.rows += self._index.get(key) is None
        self._index.put(key, record)
        self.rrm = self.rrm or rrm

    def _load(self, header: JobHeader) -> int:
        """Reads every line, cuts a torn end off, begins an empty journal; gives where the file ends."""
        self._file.seek(0)
        first = self._file.readline()
        if not first.endswith(b"\n"):
            self._file.truncate(0)
            first = header.model_dump_json().encode() + b"\n"
            self._file.write(first)
            self._file.flush()
            sync_folder(self._path.parent)
            return len(first)
        self._check(first, header)
        end = len(first)
        for number, line in enumerate(self._file, start=2):
            if not line.endswith(b"\n"):
                self._file.truncate(end)
                break
            try:
                row = json.loads(line)
                self._put(row["key"], Recorded(end, row["status"]), row["rrm"])
            except (ValueError, KeyError, TypeError) as error:
                raise ResumeRefusedError(f"{self._path}, line {number}: damaged: {error}; {_ANEW}") from error
            end += len(line)
        return end

    def _check(self, line: bytes, header: JobHeader) -> None:
        try:
            found = JobHeader.model_validate_json(line)
        except ValidationError as error:
            raise ResumeRefusedError(f"{self._path} is no journal of this version; {_ANEW}") from error
        before, now = _flat(found), _flat(header)
        changed = [
            f"{name} was {_said(before[name])}, is {_said(now[name])}"
            for name in before
            if before[name] != now[name]
        ]
        if changed:
            raise ResumeRefusedError(f"{self._path} belongs to another job: {'; '.join(changed)}. {_ANEW}")


_ANEW = "score everything anew with --restart, or choose another output"


def _said(value: object) -> object:
    return "not given" if value is None else value


def _flat(header: JobHeader) -> dict[str, object]:
    return {"input": header.input_digest, "format": header.format, **header.settings.model_dump()}


def _lock(file: BinaryIO, path: Path) -> None:
    """The lock ends with the process, however it ends."""
    import fcntl  # not on Windows, where the rest of the client works

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ResumeRefusedError(f"another process is writing {path}") from error
