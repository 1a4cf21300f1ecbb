"""Principles of (sources, instruction) from the model: cached, and computed once for simultaneous calls."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from edit_rrm.errors import DecompositionError, DecompositionTruncatedError
from edit_rrm.judges.judge import Judge
from edit_rrm.judges.written import told_to_think
from edit_rrm.principles import Principle
from edit_rrm.wire import Usage
from edit_rrm_server.admission.batching import Admission, Batcher
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.observe import tracing
from edit_rrm_server.observe.scoring_metrics import ScoringMetrics
from edit_rrm_server.scoring.attempts import attempted
from edit_rrm_server.scoring.plan import Edit
from edit_rrm_server.scoring.sampling import Attempts
from edit_rrm_server.scoring.turns import Turns
from edit_rrm_server.scoring.usage import NO_USAGE

Key = tuple[str, tuple[str, ...], str, SamplingSettings]


@dataclass(frozen=True)
class Decomposed:
    """Principles, where they came from, what this caller is charged for them, and how long they queued."""

    principles: tuple[Principle, ...]
    origin: Literal["cache", "model"]
    usage: Usage = NO_USAGE
    queue_s: float = 0.0


class PrincipleCache:
    """The last `entries` principle sets that were asked for. It outlives an engine."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._sets: OrderedDict[Key, tuple[Principle, ...]] = OrderedDict()

    def get(self, key: Key) -> tuple[Principle, ...] | None:
        """The set, or None if it is not known."""
        if key in self._sets:
            self._sets.move_to_end(key)
        return self._sets.get(key)

    def put(self, key: Key, principles: tuple[Principle, ...]) -> None:
        """Keeps a set and drops the one nobody asked for the longest."""
        self._sets[key] = principles
        while len(self._sets) > self._entries:
            self._sets.popitem(last=False)

    def clear(self) -> None:
        """Forgets every set; other weights would name other principles."""
        self._sets.clear()


@dataclass
class _Flight:
    """A decomposition under way, and how many calls wait for it; the last to leave cancels it."""

    task: asyncio.Task[Decomposed]
    admission: Admission
    waiters: int = 0


class Decomposer:
    """See the module. `weights_digest` is part of every key: other weights, other principles."""

    def __init__(
        self,
        turns: Turns,
        judge: Judge,
        batcher: Batcher,
        attempts: Attempts,
        metrics: ScoringMetrics,
        *,
        weights_digest: str,
        cache: PrincipleCache,
        template_arguments: Mapping[str, bool | int | float | str] = MappingProxyType({}),
    ) -> None:
        self._turns = turns
        self._judge = judge
        self._template_arguments = template_arguments
        self._profile = judge.decomposition
        self._batcher = batcher
        self._metrics = metrics
        self._weights_digest = weights_digest
        self._attempts = attempts
        self._cache = cache
        self._flights: dict[Key, _Flight] = {}

    async def principles(
        self, edit: Edit, sampling: SamplingSettings, admission: Admission, *, may_grow: bool = True
    ) -> Decomposed:
        """The principle set, from the cache or the model; gives back the job `admission` reserved for it.

        `may_grow`: principles that were cut off may take more tokens. Raises DecompositionError when no
        attempt's text held a set, and what the engine raises. A failure is not cached.
        """
        admission.release_room(1)  # the flight holds room of its own: it may outlive the call that started it
        key = (self._weights_digest, edit.digests, edit.instruction, sampling)
        cached = self._cache.get(key)
        if cached is not None:
            self._metrics.principles_served("cache")
            return Decomposed(cached, "cache")
        flight = self._flights.get(key)
        first = flight is None
        if flight is None:
            room = self._batcher.admit_unbounded(1, admission.lane, admission.deadline_at, admission.owner)
            task = asyncio.create_task(self._decompose(key, edit, sampling, may_grow, room))
            task.add_done_callback(lambda _: self._batcher.leave(room))  # also if it never began to run
            flight = _Flight(task, room)
            self._flights[key] = flight
        else:
            flight.admission.promote(admission.lane, admission.deadline_at)
        decomposed = await self._wait(key, flight)
        self._metrics.principles_served("model" if first else "cache")
        return decomposed if first else Decomposed(decomposed.principles, "cache", queue_s=decomposed.queue_s)

    async def _wait(self, key: Key, flight: _Flight) -> Decomposed:
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0:
                flight.task.cancel()  # does nothing to a finished one
                if self._flights.get(key) is flight:
                    del self._flights[key]

    async def _decompose(
        self, key: Key, edit: Edit, sampling: SamplingSettings, may_grow: bool, room: Admission
    ) -> Decomposed:
        with tracing.span("decomposition"), room as admission:

            async def generate(settings: SamplingSettings) -> Completion:
                asked = self._profile.decompose(
                    edit.instruction, seed=settings.seed, sources=len(edit.sources)
                )
                prompt = told_to_think(
                    replace(asked, chat_template=self._judge.chat_template),
                    self._judge.thinking,
                    wanted=False,
                ).told(self._template_arguments)
                return await self._turns.generate(admission, prompt, edit.images, settings, group=edit.group)

            drawn = await attempted(
                self._attempts, sampling, generate, self._read, cut_off=self._cut_off, may_grow=may_grow
            )
        if drawn.read is not None:
            self._cache.put(key, drawn.read)
            return Decomposed(drawn.read, "model", drawn.usage, room.longest_wait_s)
        assert drawn.failure is not None
        if isinstance(drawn.failure, DecompositionError):
            kind, times = type(drawn.failure), "attempt" if drawn.attempts == 1 else "attempts"
            raise kind(f"after {drawn.attempts} {times}: {drawn.failure}", drawn.failure.text)
        raise drawn.failure

    def _read(self, completion: Completion) -> tuple[Principle, ...]:
        try:
            return self._profile.parse_principles(
                completion.text, opened=completion.thought_opened, whole=True
            )
        except DecompositionError:
            self._metrics.decomposition_unparsed()
            raise

    def _cut_off(self, completion: Completion) -> DecompositionTruncatedError | None:
        if completion.finish_reason == "stop":
            return None
        self._metrics.decomposition_unparsed()
        return DecompositionTruncatedError(
            f"the principles were cut off after {completion.completion_tokens} tokens", completion.text
        )
