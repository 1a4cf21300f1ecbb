"""Scores groups over HTTP beside the training: a thread with an event loop around `AsyncRewardClient`.

A group is submitted as soon as it is decoded and waited for when its advantages are needed. It knows of
updates and algorithms nothing. A breaker holds all groups back while the service is away; what is wrong
for good (a key, a request) is raised at once. A failure stays a failure: no number takes its place.
"""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from edit_grpo.data.edits import Edit
from edit_grpo.errors import ServiceAwayError, StoppedError
from edit_grpo.reward.settings import RewardSettings
from edit_rrm_client import (
    AsyncRewardClient,
    DeadlineExceededError,
    EditRRMClientError,
    OverloadedError,
    Sampling,
    ScoreAnswer,
    ScoringFailedError,
    UnavailableError,
)

Connect = Callable[[], AsyncRewardClient]
OnWait = Callable[[float, str], None]
"""Told, while the service is away, for how many seconds it has been and why."""

_LOOK_S = 0.2  # how often a waiting trainer looks whether it was asked to stop


@dataclass(frozen=True)
class GroupOutcome:
    """What came of a group. `answer` is None when the service could score no candidate; `error` says why."""

    answer: ScoreAnswer | None
    error: str
    asked_s: float
    answered_s: float


@dataclass(frozen=True)
class PendingGroup:
    """A group on its way."""

    future: "concurrent.futures.Future[GroupOutcome]"


def unscored(error: str, now_s: float) -> PendingGroup:
    """A group that nobody is asked about."""
    nobody: concurrent.futures.Future[GroupOutcome] = concurrent.futures.Future()
    nobody.set_result(GroupOutcome(None, error, now_s, now_s))
    return PendingGroup(nobody)


class Breaker:
    """Whether the service is away, since when, and how long that may last. Runs on the event loop."""

    def __init__(
        self,
        settings: RewardSettings,
        on_wait: OnWait,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._settings, self._on_wait, self._clock, self._sleep = settings, on_wait, clock, sleep
        self._away_since_s: float | None = None
        self._told_s = float("-inf")

    @property
    def is_away(self) -> bool:
        """Whether nothing has been scored since the service was found away."""
        return self._away_since_s is not None

    def answered(self) -> None:
        """The service did its work: it is there."""
        self._away_since_s = None

    async def hold(self, client: AsyncRewardClient, error: EditRRMClientError) -> None:
        """Returns when it is worth asking again. Raises ServiceAwayError when the patience is used up."""
        if self._away_since_s is None:
            self._away_since_s = self._clock()
        reason = str(error)
        while True:
            waited_s = self._clock() - self._away_since_s
            if waited_s >= self._settings.patience_s:
                urls = ", ".join(self._settings.urls)
                raise ServiceAwayError(
                    f"the reward service at {urls} scored nothing for {waited_s:.0f} s, longer than "
                    f"reward.patience_s ({self._settings.patience_s:g} s): {reason}",
                    waited_s,
                )
            self._tell(waited_s, reason)
            await self._sleep(min(self._settings.poll_s, self._settings.patience_s - waited_s))
            probe = await client.ready()
            if probe.ok or self._away_since_s is None:
                return
            reason = f"{probe.code}: {probe.detail}"

    def _tell(self, waited_s: float, reason: str) -> None:
        """One word a poll, however many groups are held back."""
        if self._clock() - self._told_s >= self._settings.poll_s:
            self._told_s = self._clock()
            self._on_wait(waited_s, reason)


class GroupScorer:
    """A context manager: submit groups, wait for them in any order."""

    def __init__(
        self,
        connect: Connect,
        settings: RewardSettings,
        on_wait: OnWait = lambda waited_s, reason: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._client = connect()
        self._breaker = Breaker(settings, on_wait, clock, sleep)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rewards", daemon=True)
        self._thread.start()

    def submit(
        self,
        edit: Edit,
        sources: Sequence[Image.Image],
        candidates: Sequence[Image.Image],
        source_of_guards: int = 0,
    ) -> PendingGroup:
        """Begins to score a group and returns at once. One without a candidate is scored by nobody.

        `source_of_guards` is the place of the source that guards compare candidates with.
        """
        if not candidates:
            return unscored("no candidate's picture is finite", self._clock())
        work = self._score(edit, list(sources), list(candidates), source_of_guards)
        return PendingGroup(asyncio.run_coroutine_threadsafe(work, self._loop))

    def wait(self, pending: PendingGroup, stop: Callable[[], bool] = lambda: False) -> GroupOutcome:
        """The group's outcome.

        Raises ServiceAwayError when the patience is used up, StoppedError when `stop` says so while the
        service is away, and the client's error for what waiting cannot mend.
        """
        while not pending.future.done():
            concurrent.futures.wait([pending.future], timeout=_LOOK_S)
            if self._breaker.is_away and stop():
                raise StoppedError("asked to stop while the reward service was away")
        return pending.future.result()

    def close(self) -> None:
        """Cancels what is under way and ends the thread."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> "GroupScorer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _score(
        self,
        edit: Edit,
        sources: Sequence[Image.Image],
        candidates: Sequence[Image.Image],
        source_of_guards: int,
    ) -> GroupOutcome:
        asked_s, settings = self._clock(), self._settings
        while True:
            try:
                answer = await self._client.score(
                    edit.instruction,
                    sources,
                    candidates,
                    principles=edit.principles if settings.principles == "file" else None,
                    samples=settings.samples,
                    sampling=Sampling(temperature=settings.temperature),
                    guards=settings.guards,
                    deadline_s=settings.deadline_s,
                    source_of_guards=source_of_guards,
                )
            except (UnavailableError, OverloadedError, DeadlineExceededError) as error:
                await self._breaker.hold(self._client, error)
            except ScoringFailedError as error:
                self._breaker.answered()
                return GroupOutcome(None, str(error), asked_s, self._clock())
            else:
                self._breaker.answered()
                return GroupOutcome(answer, "", asked_s, self._clock())

    async def _end(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()
        await self._loop.shutdown_default_executor()


def busy_s(outcomes: Sequence[GroupOutcome]) -> float:
    """Seconds during which at least one group was being scored; overlapping groups count once."""
    total_s, until_s = 0.0, float("-inf")
    for outcome in sorted(outcomes, key=lambda each: each.asked_s):
        begin_s = max(outcome.asked_s, until_s)
        total_s += max(0.0, outcome.answered_s - begin_s)
        until_s = max(until_s, outcome.answered_s)
    return total_s
