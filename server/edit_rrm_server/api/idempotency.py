"""Answers by idempotency key: a key that is in flight or was answered lately is not worked on again.

Bounded in number and in bytes; the least recently used go first. Knows neither HTTP nor scores. Everything
here runs on the event loop's thread.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Mapping
from types import TracebackType
from typing import Generic, TypeAlias, TypeVar

from edit_rrm_server.errors import RequestRefusedError

T = TypeVar("T")

Key: TypeAlias = tuple[str, str]
"""The caller's name and the key that it chose: what one has asked is nothing to another."""

_CAPACITY = 4096


class _Entry(Generic[T]):
    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.size_bytes = 0


class IdempotentAnswers(Generic[T]):
    """See the module. `capacity` counts keys, `capacity_bytes` answers; what is in flight is never dropped.

    `field` is what a refusal calls a key, by the `place` of its payload in the request.
    """

    def __init__(self, field: str, capacity: int = _CAPACITY, capacity_bytes: float = math.inf) -> None:
        self._field = field
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._entries: OrderedDict[Key, _Entry[T]] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def claim(self, keyed: Mapping[int, tuple[Key, str]]) -> "Claim[T]":
        """Takes the keys (with their payloads' fingerprints) that nobody works on. Use as a context manager.

        Raises RequestRefusedError (invalid_request) for a key that came with another payload; then
        nothing is taken.
        """
        fingerprints = {k: self._entries[k].fingerprint for k, _ in keyed.values() if k in self._entries}
        for place, (key, fingerprint) in keyed.items():
            if fingerprints.setdefault(key, fingerprint) != fingerprint:
                field = self._field.format(place=place)
                raise RequestRefusedError("invalid_request", f"{field}: was used for another payload")
        mine: dict[int, Key] = {}
        others: dict[int, _Entry[T]] = {}
        for place, (key, fingerprint) in keyed.items():
            if key in self._entries:
                others[place] = self._entries[key]
                self._entries.move_to_end(key)
            else:
                self._entries[key] = _Entry(fingerprint)
                mine[place] = key
        entries = {place: (key, self._entries[key]) for place, key in mine.items()}
        self._drop_oldest()
        return Claim(self, entries, others)

    def keep(self, key: Key, entry: _Entry[T], size_bytes: int) -> None:
        """The answer is there, and counted, unless all was forgotten meanwhile; one too large is not kept."""
        if size_bytes > self._capacity_bytes:
            self.forget(key, entry)
        elif self._entries.get(key) is entry:
            entry.size_bytes = size_bytes
            self.size_bytes += size_bytes
            self._drop_oldest()

    def forget(self, key: Key, entry: _Entry[T]) -> None:
        """The key is free again, unless somebody else has taken it since."""
        if self._entries.get(key) is entry:
            del self._entries[key]

    def clear(self) -> None:
        """Forgets every answer; other weights would give others."""
        self._entries.clear()
        self.size_bytes = 0

    def _drop_oldest(self) -> None:
        """Drops answers until what is left fits; what is in flight stays, as many as there are calls."""
        for key, entry in list(self._entries.items()) if self._has_too_much else ():
            if not self._has_too_much:
                return
            if entry.answer.done():
                del self._entries[key]
                self.size_bytes -= entry.size_bytes

    @property
    def _has_too_much(self) -> bool:
        return len(self._entries) > self._capacity or self.size_bytes > self._capacity_bytes


class Claim(Generic[T]):
    """Keys that one request works on, and entries of others that it waits for.

    Leaving the context frees the keys that were not settled: whoever waits for them takes them over.
    """

    def __init__(
        self,
        answered: IdempotentAnswers[T],
        mine: dict[int, tuple[Key, _Entry[T]]],
        others: dict[int, _Entry[T]],
    ) -> None:
        self._replays = answered
        self._mine = mine
        self.others = others

    def settle(self, place: int, answer: T, *, keep: bool, size_bytes: int = 0) -> None:
        """The answer of a place; one that is not to be kept is given only to those who wait already."""
        if place not in self._mine:  # it came without a key
            return
        key, entry = self._mine.pop(place)
        entry.answer.set_result(answer)
        if keep:
            self._replays.keep(key, entry, size_bytes)
        else:
            self._replays.forget(key, entry)

    async def from_others(self) -> dict[int, T]:
        """The answers of others, by place; without those whose work was given up."""
        answers = [entry.answer for entry in self.others.values()]
        if answers:
            await asyncio.wait(answers)
        return {place: e.answer.result() for place, e in self.others.items() if not e.answer.cancelled()}

    def __enter__(self) -> "Claim[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for key, entry in self._mine.values():
            self._replays.forget(key, entry)
            entry.answer.cancel()
        self._mine.clear()
