"""Scoring many edits: what goes in, what comes out, and the two loops that keep a bounded window open.

The loops read one item at a time, when there is room for it: nothing is held but the window.
"""

import asyncio
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Sequence,
)
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict, TypeVar

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.principles import Principle
from edit_rrm.wire import Guards, Include, Priority, Sampling, ScoreAnswer, Thinking
from edit_rrm_client._calls import TemplateValues
from edit_rrm_client._images import ImageInput, SourceInput
from edit_rrm_client.errors import EditRRMClientError, InvalidRequestError

DEFAULT_CONCURRENCY = 8


class ScoreOptions(TypedDict, total=False):
    """What `score`, `score_group` and `score_many` take beside the edit; see `RewardClient.score`."""

    samples: int | None
    sampling: Sampling | None
    thinking: Thinking | None
    template_arguments: TemplateValues | None
    aggregator: AggregatorName | None
    guards: Guards | None
    include: Sequence[Include]
    deadline_s: float | None
    priority: Priority
    source_of_guards: int
    model: str | None


@dataclass(frozen=True)
class ScoreItem:
    """One edit for `score_many`: `key` is the caller's own name for it and comes back with the result."""

    key: str | int
    instruction: str
    source: SourceInput
    candidates: Sequence[ImageInput]
    principles: Sequence[Principle] | None = None


@dataclass(frozen=True)
class ItemScored:
    """An item that was answered. Single candidates may still have failed: see `answer.results`."""

    key: str | int
    index: int
    """The item's place in the input, from 0."""
    answer: ScoreAnswer
    status: Literal["ok"] = "ok"


@dataclass(frozen=True)
class ItemFailed:
    """An item without an answer, and why. It cost no other item."""

    key: str | int
    index: int
    """The item's place in the input, from 0."""
    error: EditRRMClientError
    status: Literal["error"] = "error"


ItemResult: TypeAlias = ItemScored | ItemFailed


@dataclass(frozen=True)
class Progress:
    """Where `score_many` stands. `scored` and `failed` count the results given out so far."""

    scored: int
    failed: int
    waiting: int
    """Items read whose results were not given out yet."""
    elapsed_s: float


@dataclass(frozen=True)
class Plan:
    """How one `score_many` runs."""

    concurrency: int
    ordered: bool
    on_progress: Callable[[Progress], None] | None
    clock: Callable[[], float]

    @property
    def window(self) -> int:
        """Items that may be read and not yet given out; in order, there is room behind a slow one."""
        return 2 * self.concurrency if self.ordered else self.concurrency


def checked_options(options: ScoreOptions, concurrency: int) -> ScoreOptions:
    """The options, with bulk priority unless they say otherwise.

    Raises InvalidRequestError for a concurrency below 1, TypeError for an option that does not exist.
    """
    if concurrency < 1:
        raise InvalidRequestError(f"concurrency must be at least 1, got {concurrency}")
    unknown = options.keys() - ScoreOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"score_many() got an unexpected keyword argument {min(unknown)!r}")
    with_priority: ScoreOptions = {"priority": "bulk"}
    with_priority.update(options)
    return with_priority


class _Tally:
    """Counts results and tells of them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._started_s = plan.clock()
        self._scored = self._failed = 0

    def count(self, result: ItemResult, waiting: int) -> None:
        if isinstance(result, ItemScored):
            self._scored += 1
        else:
            self._failed += 1
        if self._plan.on_progress is not None:
            elapsed_s = self._plan.clock() - self._started_s
            self._plan.on_progress(Progress(self._scored, self._failed, waiting, elapsed_s))


def score_in_threads(
    items: Iterable[ScoreItem],
    score: Callable[[ScoreItem], ScoreAnswer],
    plan: Plan,
    stop: threading.Event,
) -> Generator[ItemResult, None, None]:
    """The results of `score` on each item; `stop` is set when nobody wants any more of them."""

    def attempt(index: int, item: ScoreItem) -> ItemResult:
        try:
            return ItemScored(item.key, index, score(item))
        except EditRRMClientError as error:
            return ItemFailed(item.key, index, error)

    tally = _Tally(plan)
    source = enumerate(items)
    pool = ThreadPoolExecutor(plan.concurrency, thread_name_prefix="edit-rrm-score-many")
    waiting: dict[Future[ItemResult], None] = {}  # in the order of the input
    exhausted = False
    try:
        while True:
            if not exhausted and len(waiting) < plan.window:
                index, item = next(source, (-1, None))
                if index < 0:
                    exhausted = True
                else:
                    waiting[pool.submit(attempt, index, _checked(item, index))] = None
            ready = _first_ready(waiting, plan.ordered)
            if ready is not None:
                del waiting[ready]
                result = ready.result()
                tally.count(result, len(waiting))
                yield result
            elif exhausted and not waiting:
                return
            elif exhausted or len(waiting) >= plan.window:
                wait(_awaited(waiting, plan.ordered), return_when=FIRST_COMPLETED)
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


async def score_in_tasks(
    items: Iterable[ScoreItem] | AsyncIterable[ScoreItem],
    score: Callable[[ScoreItem], Awaitable[ScoreAnswer]],
    plan: Plan,
) -> AsyncGenerator[ItemResult, None]:
    """The results of `score` on each item. Ends its tasks, and with them their connections, when closed."""
    at_once = asyncio.Semaphore(plan.concurrency)

    async def attempt(index: int, item: ScoreItem) -> ItemResult:
        async with at_once:
            try:
                return ItemScored(item.key, index, await score(item))
            except EditRRMClientError as error:
                return ItemFailed(item.key, index, error)

    tally = _Tally(plan)
    source = aiter(items) if isinstance(items, AsyncIterable) else _one_by_one(items)
    reading: asyncio.Task[ScoreItem | _End] | None = None
    waiting: dict[asyncio.Task[ItemResult], None] = {}  # in the order of the input
    read = 0
    exhausted = False
    try:
        while True:
            if reading is not None and reading.done():
                item = reading.result()
                reading = None
                if isinstance(item, _End):
                    exhausted = True
                else:
                    waiting[asyncio.create_task(attempt(read, _checked(item, read)))] = None
                    read += 1
            if reading is None and not exhausted and len(waiting) < plan.window:
                reading = asyncio.create_task(_read(source))
            ready = _first_ready(waiting, plan.ordered)
            if ready is not None:
                del waiting[ready]
                result = ready.result()
                tally.count(result, len(waiting))
                yield result
            elif reading is None and not waiting:
                return
            else:
                awaited: set[asyncio.Task[ItemResult] | asyncio.Task[ScoreItem | _End]] = set()
                awaited.update(_awaited(waiting, plan.ordered))
                if reading is not None:
                    awaited.add(reading)
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        left = [*waiting, *([] if reading is None else [reading])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class AbandonedError(Exception):
    """Ends a call whose result nobody waits for any longer. Never leaves this package."""


class _End:
    """What reading gives when the input has ended."""


async def _read(source: AsyncIterator[ScoreItem]) -> "ScoreItem | _End":
    return await anext(source, _End())


async def _one_by_one(items: Iterable[ScoreItem]) -> AsyncGenerator[ScoreItem, None]:
    for item in items:
        yield item


def _checked(item: object, index: int) -> ScoreItem:
    if not isinstance(item, ScoreItem):
        raise InvalidRequestError(f"items[{index}]: expected a ScoreItem, got {type(item).__name__}")
    return item


_Work = TypeVar("_Work", Future[ItemResult], asyncio.Task[ItemResult])


def _awaited(waiting: dict[_Work, None], ordered: bool) -> list[_Work]:
    """The work whose end would give a result: the first in order, or any."""
    return list(waiting)[:1] if ordered else list(waiting)


def _first_ready(waiting: dict[_Work, None], ordered: bool) -> _Work | None:
    return next((work for work in _awaited(waiting, ordered) if work.done()), None)
