"""Sets and maps of keys that may outgrow memory: temporary SQLite tables, on disk where they are large."""

import sqlite3
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "error"]
_ON_DISK = ""  # SQLite's name for a private database that vanishes when it is closed; its cache is bounded


class KeySet:
    """Which keys were seen."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(_ON_DISK, isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, key: str) -> bool:
        """Whether `key` is new."""
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount == 1

    def __contains__(self, key: str) -> bool:
        return self._database.execute("SELECT 1 FROM seen WHERE key = ?", (key,)).fetchone() is not None

    def close(self) -> None:
        """Gives the disk space back."""
        self._database.close()


@dataclass(frozen=True)
class Recorded:
    """Where in the journal the newest line of a key begins, in bytes, and what it says."""

    offset: int
    status: Status


class RecordIndex:
    """The newest record of each key."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(_ON_DISK, isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE records (key TEXT PRIMARY KEY, place INTEGER, status TEXT) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")

    def put(self, key: str, record: Recorded) -> None:
        """The newest record of `key` from now on."""
        self._database.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (key, record.offset, record.status)
        )

    def get(self, key: str) -> Recorded | None:
        """The newest record of `key`, if there is one."""
        found = self._database.execute("SELECT place, status FROM records WHERE key = ?", (key,)).fetchone()
        return None if found is None else Recorded(*found)

    def close(self) -> None:
        """Gives the disk space back."""
        self._database.close()
