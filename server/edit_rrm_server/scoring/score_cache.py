"""Finished scores of deterministic calls, the least recently used dropped first, bounded in bytes."""

import sys
from collections import OrderedDict

from edit_rrm.wire import CandidateScored
from edit_rrm_server.scoring.plan import ScoreKey

_ENTRY_OVERHEAD_BYTES = 1024
"""The key, its digests and the two mappings' slots, generously."""


class ScoreCache:
    """See the module. Answers are kept as JSON: small, and nobody can change them."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._entries: OrderedDict[ScoreKey, bytes] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: ScoreKey) -> CandidateScored | None:
        """The score as it was answered, marked `cached`; None if it is not known."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        self._entries.move_to_end(key)
        return CandidateScored.model_validate_json(kept).model_copy(update={"cached": True})

    def put(self, key: ScoreKey, answer: CandidateScored) -> None:
        """Keeps a score, dropping older ones until it fits; one larger than the cache is not kept."""
        if not self._capacity_bytes:
            return
        kept = answer.model_dump_json().encode()
        size = _size_bytes(key, kept)
        if size > self._capacity_bytes:
            return
        old = self._entries.pop(key, None)
        if old is not None:
            self.size_bytes -= _size_bytes(key, old)
        self._entries[key] = kept
        self.size_bytes += size
        while self.size_bytes > self._capacity_bytes:
            dropped_key, dropped = self._entries.popitem(last=False)
            self.size_bytes -= _size_bytes(dropped_key, dropped)

    def clear(self) -> None:
        """Forgets every score; other weights would give others."""
        self._entries.clear()
        self.size_bytes = 0


def _size_bytes(key: ScoreKey, kept: bytes) -> int:
    texts = len(key.instruction) + sum(len(principle.question) for principle in key.principles)
    return sys.getsizeof(kept) + 4 * texts + _ENTRY_OVERHEAD_BYTES
